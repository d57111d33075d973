use super::reference;
use expect_test::expect_file;

#[test]
fn the_page_says_what_the_code_does() {
    expect_file!["../../../doc/operating/configuration.md"].assert_eq(&reference());
}
