//! Sign-ins of a victim and of a campus while passwords are guessed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::http::{Client, Response};
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

/// The address that the campus shares with one of the attackers.
const CAMPUS: &str = "192.0.2.1";
/// The victim's address.
const HOME_ADDRESS: &str = "203.0.113.7";
/// The addresses of the other attackers.
const FAR: [&str; 2] = ["198.51.100.1", "198.51.100.2"];
const PASSWORD: &str = "the right words of a user";
/// Sign-ins of each kind, and how many of them must succeed.
const TRIES: usize = 30;
const SUCCESSES_MIN: usize = 29;
/// Guesses that are sent at once, without reading the responses.
const PARALLEL: usize = 600;
/// Threads that guess from the campus, and their pause between two guesses: 90 guesses a second at most.
const GUESSERS: usize = 9;
const PAUSE: Duration = Duration::from_millis(100);
/// Accounts of the campus.
const STUDENTS: usize = 10;

/// Sends a sign-in from an address, with the cookie of a device if there is one.
fn sign_in(client: &mut Client, from: &str, device: Option<&str>, user: &str, password: &str) -> Response {
    let body = json!({"username": user, "password": password}).to_string();
    let mut headers = vec![("Content-Type", "application/json"), ("X-Forwarded-For", from)];
    headers.extend(device.map(|device| ("Cookie", device)));
    client.call("POST", "/api/v1/login", &headers, body.as_bytes()).expect("a response")
}

fn student(number: usize) -> String {
    format!("student-{}", number % STUDENTS)
}

/// Guesses from the campus until `is_over`: names that do not exist, and the victim.
fn guess_from_campus(server: &Server, thread: usize, is_over: &AtomicBool, guesses: &AtomicUsize) {
    let mut client = server.client();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let user = match number % 3 {
            0 => "ann".to_owned(),
            _ => format!("unknown-{thread}-{number}"),
        };
        sign_in(&mut client, CAMPUS, None, &user, "a guess");
        guesses.fetch_add(1, Ordering::Relaxed);
        // The pause sets the rate of the attack. No result depends on it.
        thread::sleep(PAUSE);
    }
}

/// Tries to sign in [`TRIES`] times. Returns how many sign-ins succeeded, and how long the slowest of them took.
fn tries(server: &Server, from: &str, user: impl Fn(usize) -> String, mut device: Option<String>) -> (usize, Duration) {
    let (mut successes, mut longest) = (0, Duration::ZERO);
    for number in 0..TRIES {
        let started = Instant::now();
        let response = sign_in(&mut server.client(), from, device.as_deref(), &user(number), PASSWORD);
        if response.status == 200 {
            successes += 1;
            longest = longest.max(started.elapsed());
            device = device.and(device_of(&response));
        }
    }
    (successes, longest)
}

/// Returns the device cookie of a successful sign-in, as a browser sends it.
fn device_of(response: &Response) -> Option<String> {
    let cookies = response.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value);
    let device = cookies.filter_map(|cookie| cookie.split(';').next()).find(|pair| pair.starts_with("eduhub_device="));
    device.map(str::to_owned)
}

/// Sends many guesses at once, each on its own connection.
fn guess_in_parallel(server: &Server, from: &str) -> Vec<Client> {
    let guess = |number: usize| {
        let body = json!({"username": student(number), "password": "a guess"}).to_string();
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", from)];
        let mut client = server.client();
        client.send("POST", "/api/v1/login", &headers, body.as_bytes()).expect("the guess is sent");
        client
    };
    (0..PARALLEL).map(guess).collect()
}

#[test]
fn a_victim_and_a_campus_sign_in_while_passwords_are_guessed() {
    let home = Home::new().setting("limits.login_per_minute", "10");
    let server = home.serve();
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    for user in (0..STUDENTS).map(student).chain(["ann".to_owned()]) {
        let account = json!({"role": "student", "password": PASSWORD});
        admin.put_json(&format!("/api/v1/admin/users/{user}"), &account).expect(201);
    }
    let first = sign_in(&mut server.client(), CAMPUS, None, "ann", PASSWORD).expect(200);
    let device = device_of(&first).expect("a device cookie");
    // More wrong passwords for the victim than the limit of ten allows, from elsewhere.
    let is_limited = |from: &str| sign_in(&mut server.client(), from, None, "ann", "a guess").status == 429;
    eventually("the attacker to be limited", || is_limited(FAR[0]).then_some(()));

    let (is_over, guesses) = (AtomicBool::new(false), AtomicUsize::new(0));
    let kinds = thread::scope(|scope| {
        for number in 0..GUESSERS {
            let (server, is_over, guesses) = (&server, &is_over, &guesses);
            scope.spawn(move || guess_from_campus(server, number, is_over, guesses));
        }
        let parallel = guess_in_parallel(&server, FAR[1]);
        let started = Instant::now();
        let kinds = [
            ("the victim at home, on an unknown device", tries(&server, HOME_ADDRESS, |_| "ann".to_owned(), None)),
            ("the victim on the campus, on a known device", tries(&server, CAMPUS, |_| "ann".to_owned(), Some(device))),
            ("students on the campus, on unknown devices", tries(&server, CAMPUS, student, None)),
        ];
        let rate = guesses.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
        println!("{rate:.0} guesses a second from the campus, {PARALLEL} at once from elsewhere");
        // Without its cookie, the victim is limited on the campus.
        eventually("the campus to be limited for the victim's account", || is_limited(CAMPUS).then_some(()));
        is_over.store(true, Ordering::Relaxed);
        drop(parallel);
        kinds
    });
    for (kind, (successes, longest)) in kinds {
        println!("{kind}: {successes} of {TRIES}, the longest took {longest:?}");
        assert!(successes >= SUCCESSES_MIN, "{kind}: {successes} of {TRIES} sign-ins succeeded");
    }
    assert!(server.metric("eduhub_sign_ins_refused_total{reason=\"rate_limited\"}") > 0.0);
}
