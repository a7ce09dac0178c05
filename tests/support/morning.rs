//! A model of a registration morning: when students arrive, and what their pages send. [`super::simulation`] simulates
//! the hubs that serve them.

#![allow(dead_code, unreachable_pub, reason = "each crate uses only a part of the helpers")]

use super::random::Random;

/// Number of sections for which a student registers.
const CART: usize = 5;
/// Number of sections for which a student has registered before finding another one full and reloading the page.
const RELOADS_BEFORE: usize = 2;

/// An action of a student's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Reads the terms.
    Terms,
    /// Reads the whole list of sections, page by page.
    Sections,
    /// Reads the seats of the term.
    Seats,
    /// Reads the student's own registrations.
    Own,
    /// Opens a WebSocket and subscribes to the seats of the term.
    Join,
    /// Registers for a section with free seats.
    Register,
    /// Registers for a full section, which is refused. The attempt is stored like a registration.
    Refused,
}

/// The number of actions.
pub const ACTIONS: usize = 7;

/// One step of a student.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Seconds after the window opens. A step begins later if the response to the previous one arrives later.
    pub at: f64,
    pub action: Action,
}

/// The students of one registration window.
#[derive(Debug, Clone, Copy)]
pub struct Morning {
    pub students: usize,
    /// Percentage of students who have waited for the window to open. They arrive evenly within `rush` seconds.
    pub waiting: usize,
    /// Seconds after the window opens within which those students arrive.
    pub rush: f64,
    /// Mean arrival time of the others, in seconds after the window opens (exponential).
    pub later: f64,
    /// Mean time between two actions of a student, in seconds (exponential).
    pub think: f64,
    /// Seconds after which the simulation ends.
    pub horizon: f64,
}

impl Morning {
    /// Returns the morning of this many students with the usual curve: 40% within 20 seconds, the others within some
    /// minutes, and a student acts every 8 seconds.
    pub const fn of(students: usize, horizon: f64) -> Self {
        Self { students, waiting: 40, rush: 20.0, later: 300.0, think: 8.0, horizon }
    }

    /// Returns the steps of each student.
    pub fn steps(&self, seed: u64) -> Vec<Vec<Step>> {
        let mut random = Random::seeded(seed);
        (0..self.students).map(|_| self.student(&mut random)).collect()
    }

    fn student(&self, random: &mut Random) -> Vec<Step> {
        let arrival =
            if random.percent(self.waiting) { self.rush * fraction(random) } else { exponential(random, self.later) };
        let mut steps = Vec::new();
        load_page(&mut steps, arrival);
        steps.push(Step { at: arrival, action: Action::Join });
        let mut at = arrival;
        let mut think = |random: &mut Random| {
            at += exponential(random, self.think);
            at
        };
        for number in 0..CART {
            if number == RELOADS_BEFORE {
                steps.push(Step { at: think(random), action: Action::Refused });
                load_page(&mut steps, think(random));
            }
            steps.push(Step { at: think(random), action: Action::Register });
        }
        steps
    }
}

/// Adds the requests that loading the page sends.
fn load_page(steps: &mut Vec<Step>, at: f64) {
    let actions = [Action::Terms, Action::Sections, Action::Seats, Action::Own];
    steps.extend(actions.map(|action| Step { at, action }));
}

/// Returns a number from 0 up to, but not including, 1.
fn fraction(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1_u64 << 53) as f64
}

fn exponential(random: &mut Random, mean: f64) -> f64 {
    -mean * (1.0 - fraction(random)).ln()
}
