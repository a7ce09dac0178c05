//! The performance demonstration over HTTP: starting it, waiting for its end, and checking its result.

use serde_json::{Value, json};

use super::http::Client;
use super::wait::eventually;

/// Starts a demonstration with these options and returns its task id.
pub fn start(admin: &mut Client, options: &Value) -> String {
    let response = admin.post_json("/api/v1/admin/demo", options).expect(202);
    response.json()["task"].as_str().expect("a task").to_owned()
}

/// Waits until a demonstration has ended and returns its task.
pub fn wait_for_end(admin: &mut Client, task: &str) -> Value {
    eventually("the end of the demonstration", || {
        let state = admin.get(&format!("/api/v1/admin/demo/{task}")).expect(200).json();
        (state["state"] != "running").then_some(state)
    })
}

/// Returns the result of one target, `hub` or `plone`.
pub fn result_of<'t>(task: &'t Value, target: &str) -> &'t Value {
    let results = task["results"].as_array().expect("results");
    results.iter().find(|row| row["target"] == target).unwrap_or_else(|| panic!("no result for {target}: {task}"))
}

/// Checks the parts of the hub's result that are the same on every machine: `users` students, no seat oversold or lost,
/// no error, and at least one import at the same time.
pub fn assert_hub_lost_nothing(task: &Value, users: u64) {
    let hub = result_of(task, "hub");
    println!("{hub}\n{}", task["background"]);
    assert_eq!(task["state"], "done", "{task}");
    assert_eq!((&hub["recorded"], &hub["users"]), (&Value::Null, &json!(users)), "{hub}");
    assert_eq!((&hub["oversold"], &hub["lost"], &hub["errors"]), (&json!(0), &json!(0), &json!(0)), "{hub}");
    assert!(hub["told"].as_u64().unwrap() > 0 && hub["told"] == hub["held"], "{hub}");
    assert!(hub["requests"].as_u64().unwrap() >= users && hub["per_s"].as_f64().unwrap() > 0.0, "{hub}");
    for percentile in ["p50", "p95", "p99"] {
        assert!(hub["latency_ms"][percentile].as_f64().unwrap() > 0.0, "{hub}");
    }
    let background = &task["background"];
    assert_eq!(background["kind"], "import");
    assert!(background["imports"].as_u64().unwrap() > 0, "an import ran at the same time: {task}");
    assert!(background["p99_with_ms"].is_number() && background["p99_without_ms"].is_number(), "{task}");
}
