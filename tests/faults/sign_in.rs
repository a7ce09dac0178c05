//! Limits on failed sign-ins while the clock is set.

use std::time::Duration;

use serde_json::json;

use crate::clock::Clock;
use crate::support::server::{Home, Server};

/// Signs in with a wrong password and returns the status.
fn guess(server: &Server) -> u16 {
    let wrong = json!({"username": "ada", "password": "a guess"});
    server.client().post_json("/api/v1/login", &wrong).status
}

#[test]
fn a_clock_that_is_set_back_locks_no_account() {
    let home = Home::new().setting("limits.login_per_minute", "3");
    let (server, clock) = Clock::serve(&home);
    let statuses = [(); 4].map(|()| guess(&server));
    assert_eq!(statuses, [401, 401, 401, 429]);

    clock.shift_system(7_200);
    assert_eq!(guess(&server), 429, "a clock that is set forward allows no more guesses");
    clock.shift_system(-7_200);
    clock.shift_monotonic(Duration::from_secs(120));
    assert_eq!(guess(&server), 401, "the failures have recovered");
}
