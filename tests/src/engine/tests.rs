use super::*;

#[test]
fn the_command_line_is_the_contract_of_the_readme() {
    let launch = Launch {
        http: 18_090,
        config: Some("c.toml".into()),
        arguments: vec!["--drop-state".into(), "visits".into()],
        ..Launch::new("hot-items", 2, Path::new("/state")).set("tick.interval-max", "20ms")
    };
    assert_eq!(
        launch.arguments(18_090).join(" "),
        "run hot-items --workers 2 --state /state --http 127.0.0.1:18090 --config c.toml \
         -D tick.interval-max=20ms --drop-state visits"
    );
    let least = Launch::new("q1", 0, Path::new("s"));
    assert_eq!(least.arguments(18_000).join(" "), "run q1 --state s --http 127.0.0.1:18000");
}
