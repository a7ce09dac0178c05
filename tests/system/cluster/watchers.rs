//! The time from a seat change at one hub to a watcher at another. It is printed, and not asserted.

use std::time::{Duration, Instant};

use serde_json::json;

use super::trio::{HUBS, Trio, shared_database};
use super::{TERM, schedule};
use crate::support::nats::NatsServer;
use crate::support::random::length_of_run;
use crate::support::socket::Socket;

fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() - 1) * percent / 100]
}

#[test]
fn a_watcher_at_another_hub_sees_each_change() {
    let (nats, shared) = (NatsServer::start(), shared_database());
    let trio = Trio::start(shared, &nats, 10);
    trio.wait_until_whole(HUBS - 1);
    let schedule = schedule(10);
    let section = schedule.id(&schedule.rows[0]);
    let mut student = trio.client(0).signed_in(&trio.home(0).token("ann", "student"));
    let mut watcher = Socket::connect(trio.address(1).expect("a running hub"), None);
    watcher.subscribe(&[&format!("seats:{TERM}")]);
    let capacity = schedule.rows[0].capacity;
    let [mut since_request, mut since_response] = [Vec::new(), Vec::new()];
    for change in 0..length_of_run("CLUSTER_CHANGES", 20) {
        let enrolled = u32::from(change % 2 == 0);
        let path = format!("/api/v1/me/registrations/{section}");
        let sent = Instant::now();
        if enrolled == 1 {
            student.put(&path).expect(201);
        } else {
            student.delete(&path).expect(200);
        }
        let answered = Instant::now();
        let row = json!([section, capacity, enrolled, 0, capacity - enrolled]);
        watcher.wait_for("the change at the other hub", |frame| {
            frame["type"] == "seats" && frame["seats"].as_array().is_some_and(|rows| rows.contains(&row))
        });
        since_request.push(sent.elapsed());
        since_response.push(answered.elapsed());
    }
    for (since, times) in [("request", &mut since_request), ("response", &mut since_response)] {
        times.sort_unstable();
        println!(
            "from the {since} of a change to a watcher at another hub: p50 {:?}, p99 {:?}, {} changes",
            percentile(times, 50),
            percentile(times, 99),
            times.len()
        );
    }
}
