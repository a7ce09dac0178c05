//! Limits on failed sign-ins while the clock is set.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::clock::Clock;
use crate::support::server::{Home, Server};

/// Signs in with a wrong password and returns the status. actix reads the clock every 0.5 seconds for its deadlines, so
/// it may answer a request right after a jump of the clock with 408. Such a request was not read, and is sent again.
fn guess(server: &Server) -> u16 {
    let wrong = json!({"username": "ada", "password": "a guess"});
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        let status = server.client().post_json("/api/v1/login", &wrong).status;
        if status != 408 || Instant::now() > give_up {
            return status;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
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
    assert_eq!(guess(&server), 401, "the failed sign-ins no longer count");
}
