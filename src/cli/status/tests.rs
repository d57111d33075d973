use super::*;
use expect_test::expect;
use serde_json::json;

#[test]
fn a_status_reads_well() {
    let job = json!({
        "name": "hot-items", "state": "running", "generation": 3, "program": "ab",
        "tick": 12_345, "tick_current": 12_350, "tick_durable": 12_346,
        "watermarks": {"events": {"watermark": 1_767_225_601_228_000_i64, "holding": "0", "lag_records": 54}},
        "sinks": {"out": {"committed_tick": null, "behind_ticks": 0, "commit_ms": null}},
        "snapshot": null, "replay": null, "error": null, "holding": "",
    });
    expect![[r#"
        hot-items: running, generation 3
          tick      12,345 released, 12,346 durable, 12,350 current
          snapshot  none
          held by   nothing
          program   ab

        source  watermark                 held by  lag
        events  2026-01-01T00:00:01.228Z  0         54

        sink  committed tick  behind  commit ms
        out                        0
    "#]]
    .assert_eq(&text(&job));
}

#[test]
fn a_failed_job_says_why_and_control_characters_stay_out() {
    let job = json!({"name": "a", "state": "failed", "generation": 1, "error": "x\u{1b}[2J", "holding": ""});
    let text = text(&job);
    assert!(text.contains("error     x\\u{1b}[2J\n"), "{text}");
    assert!(!text.contains("held by"), "{text}");
}
