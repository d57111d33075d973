#![expect(clippy::unwrap_used, reason = "tests")]

/// The error for a declaration.
fn error(declaration: &str) -> String {
    let item = syn::parse_str::<syn::DeriveInput>(declaration).unwrap();
    super::expand(&item).unwrap_err().to_string()
}

#[test]
fn errors_say_what_is_right() {
    for (declaration, message) in [
        ("struct A { #[row(defalt)] x: u8 }", "takes default, default = EXPR or was"),
        ("#[row(default)] struct A { x: u8 }", "takes was = \"old\", removed"),
        ("enum A { #[row(default)] B }", "takes was = \"old\" or removed"),
        ("struct A { #[row(removed = \"y: u8\")] x: u8 }", "takes default"),
        ("#[row(removed = \"x\")] struct A;", "is written as \"name: Type\""),
        ("#[row(removed = \"x: u8, y: u8\")] struct A;", "is written as"),
        ("#[row(removed = \"x: u8\")] enum A { B }", "stands at the variant"),
        ("#[row(manual(Deb))] struct A;", "one of Clone, Debug"),
        ("struct A { #[row(was)] x: u8 }", "expected `=`"),
        ("struct A<'a> { x: &'a str }", "it cannot borrow"),
        ("enum A {}", "1 to 256 variants"),
        ("union A { x: u8 }", "a union cannot be a row"),
    ] {
        let found = error(declaration);
        assert!(found.contains(message), "{declaration}: {found}");
    }
}

#[test]
fn an_enum_has_at_most_as_many_variants_as_a_byte_tells_apart() {
    let declaration = |count: usize| {
        let variants = (0..count).map(|i| format!("V{i}")).collect::<Vec<_>>().join(", ");
        syn::parse_str::<syn::DeriveInput>(&format!("enum A {{ {variants} }}")).unwrap()
    };
    assert!(super::expand(&declaration(256)).is_ok());
    assert!(super::expand(&declaration(257)).is_err());
}

#[test]
fn traits_written_by_hand_are_left_out() {
    let count = |declaration: &str, trait_name: &str| {
        let item = syn::parse_str::<syn::DeriveInput>(declaration).unwrap();
        let file = syn::parse2::<syn::File>(super::expand(&item).unwrap()).unwrap();
        let text = quote::ToTokens::to_token_stream(&file).to_string();
        text.matches(&format!(":: {trait_name} for A")).count()
    };
    let traits = ["Clone", "Debug", "PartialEq", "Eq", "PartialOrd", "Ord", "Hash", "Serialize"];
    for name in traits {
        assert_eq!(count("struct A { x: u8 }", name), 1, "{name}");
        assert_eq!(
            count(&format!("#[row(manual({name}))] struct A {{ x: u8 }}"), name),
            0,
            "{name}"
        );
    }
    assert_eq!(count("struct A { x: u8 }", "Deserialize < 'de >"), 1);
    assert_eq!(count("#[row(manual(Deserialize))] struct A;", "Deserialize < 'de >"), 0);
    assert_eq!(count("#[row(manual(Clone, Ord))] struct A;", "Row"), 1);
}
