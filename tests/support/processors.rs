//! Processors of a simulated machine ([`super::simulation`]).

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each crate uses only a part of the helpers")]

/// Processors that serve jobs in the order of their arrival.
#[derive(Debug)]
pub struct Processors {
    free_at: Vec<f64>,
}

impl Processors {
    pub fn new(cores: usize) -> Self {
        Self { free_at: vec![0.0; cores] }
    }

    /// Serves a job on the processor that is free first. Returns the time at which it ends.
    pub fn serve(&mut self, now: f64, cost: f64) -> f64 {
        let first = self.free_at.iter_mut().min_by(|a, b| a.total_cmp(b)).unwrap();
        *first = first.max(now) + cost;
        *first
    }

    /// Serves a job that all processors share.
    pub fn serve_spread(&mut self, now: f64, cost: f64) {
        let each = cost / self.free_at.len() as f64;
        self.free_at.iter_mut().for_each(|free| *free = free.max(now) + each);
    }
}
