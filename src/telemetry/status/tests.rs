use super::*;

#[test]
fn the_json_is_a_contract() {
    let mut status = Status { name: "visits".into(), tick: 7, ..Status::default() };
    status.sinks.insert("out".into(), SinkStatus { committed_tick: Some(6), ..Default::default() });
    let text = serde_json::to_string(&status).expect("it is plain data");
    expect_test::expect![[r#"{"name":"visits","state":"starting","generation":0,"program":"","processes":0,"workers":0,"supervisor":null,"restored":null,"tick":7,"tick_current":0,"tick_durable":0,"watermarks":{},"sinks":{"out":{"committed_tick":6,"behind_ticks":0,"commit_ms":null}},"snapshot":null,"replay":null,"error":null,"holding":"","slow":[]}"#]]
    .assert_eq(&text);
    assert_eq!(serde_json::from_str::<Status>(&text).expect("its own text"), status);
}

#[test]
fn states_have_one_name_and_say_whether_queries_are_answered() {
    let table = [
        (State::Starting, Readiness::Rising),
        (State::Replaying, Readiness::Rising),
        (State::Running, Readiness::Ready),
        (State::Stopping, Readiness::Ready),
        (State::Failed, Readiness::Down),
    ];
    for (state, readiness) in table {
        assert_eq!(Status { state, ..Status::default() }.readiness(), readiness);
        let text = serde_json::to_string(&state).expect("it is plain data");
        assert_eq!(text, format!("\"{}\"", state.name()));
    }
}
