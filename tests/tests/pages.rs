//! Pages of `doc/operating/` are followed: their commands are run as they stand there.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::time::Duration;
use tidemark_tests::engine::binary;
use tidemark_tests::page::Page;

/// A deadline that only a hanging engine reaches.
const LONG: Duration = Duration::from_secs(180);

/// These words stand in the output, in this order; how they are laid out in columns is another matter.
fn says(printed: &str, texts: &[&str]) {
    let words: Vec<&str> = printed.split_whitespace().collect();
    let printed = words.join(" ");
    let mut rest = printed.as_str();
    for text in texts {
        let at = rest.find(text).unwrap_or_else(|| panic!("no {text:?} from here:\n{rest}"));
        rest = &rest[at + text.len()..];
    }
}

/// What `rescale` and `upgrade` print.
const RESIZED: [&str; 3] =
    ["the program takes the dataflow", "nothing_shown_is_lost true", "ticks_read_again 0"];

#[test]
fn resize() {
    let printed = Page::open("resize").unwrap().follow(&[], LONG).unwrap();
    let begun_again = ["generation 4: restored", "generation 5: restored"];
    says(&printed, &[&RESIZED[..], &RESIZED, &begun_again].concat());
}

#[test]
fn recover() {
    let page = Page::open("recover").unwrap();
    let printed = page.follow(&[], LONG).unwrap();
    says(
        &printed,
        &[
            "before-the-crash",
            "generation 2: restored the snapshot",
            "generation 3: restored the snapshot",
        ],
    );
    assert!(page.path("state/tick.log").exists() && page.path("moved/tick.log").exists());
}

#[test]
fn secure() {
    let printed = Page::open("secure").unwrap().follow(&[], LONG).unwrap();
    let authority = "tls_authority = \"authority.pem\"";
    says(&printed, &[authority, "generation 1", "401", "\"processes\":2"]);
}

/// Version 2 is the same program with some bytes behind its end, which make it another one.
#[test]
fn upgrade() {
    let page = Page::open("upgrade").unwrap();
    let program = page.path("version-2");
    std::fs::copy(binary().unwrap(), &program).unwrap();
    std::fs::OpenOptions::new().append(true).open(&program).unwrap().write_all(b"2").unwrap();
    let program = program.to_str().unwrap();
    let words =
        [("cargo build --release --bin tidemark", ":"), ("target/release/tidemark", program)];
    let printed = page.follow(&words, LONG).unwrap();
    says(&printed, &[&["goes on from tick"][..], &RESIZED].concat());
}
