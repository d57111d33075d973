use super::*;

fn text(screen: &Screen<Vec<u8>>) -> String {
    String::from_utf8_lossy(&screen.to).replace('\u{1b}', "^")
}

#[test]
fn on_a_terminal_one_line_is_rewritten_and_logs_go_above_it() {
    let mut screen = Screen::new(Vec::new(), true);
    screen.draw("a");
    screen.draw("b");
    screen.log(b"log\n");
    screen.log(b"log\n");
    screen.draw("c");
    screen.end();
    screen.end();
    let drawn = |text: &str| format!("\r^[K^[?7l{text}^[?7h");
    let expected = format!("{}{}\r^[Klog\nlog\n{}\n", drawn("a"), drawn("b"), drawn("c"));
    assert_eq!(text(&screen), expected);
}

#[test]
fn elsewhere_every_line_stands() {
    let mut screen = Screen::new(Vec::new(), false);
    screen.draw("a");
    screen.log(b"log\n");
    screen.draw("b");
    screen.end();
    assert_eq!(text(&screen), "a\nlog\nb\n");
}
