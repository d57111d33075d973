use super::super::kinds::Kind;
use super::super::units;
use super::super::value::{Origin, Value};
use super::*;

#[test]
fn every_default_is_allowed() {
    for key in KEYS {
        if let Is(text) = key.default {
            let text = text.replace(['<', '>'], "");
            let checked = key.kind.check(&Value::Text(text.clone()), &Origin::Default);
            assert!(checked.is_ok(), "{}.{} = {text}: {checked:?}", key.section, key.name);
        }
    }
}

#[test]
fn every_range_can_be_read_and_is_one() {
    for key in KEYS {
        let fine = match key.kind {
            Kind::Integer(from, to) => from < to,
            Kind::Duration(from, to) => {
                units::duration(from).is_ok() && units::duration(from) < units::duration(to)
            }
            Kind::Size(from, to) => {
                units::size(from).is_ok() && units::size(from) < units::size(to)
            }
            _ => true,
        };
        assert!(fine, "{}.{}", key.section, key.name);
    }
}

#[test]
fn every_key_is_in_a_section_once_and_every_selector_is_a_choice() {
    for (i, key) in KEYS.iter().enumerate() {
        assert!(section_named(key.section).is_some(), "{}", key.section);
        let twin =
            KEYS[..i].iter().find(|other| (other.section, other.name) == (key.section, key.name));
        assert!(twin.is_none(), "{}.{} twice", key.section, key.name);
    }
    for section in SECTIONS {
        let Some(selector) = section.selector else { continue };
        let key = keys_of(section.kind, None).find(|key| key.name == selector);
        let Some(Kind::Choice(variants)) = key.map(|key| key.kind) else {
            panic!("{}.{selector} is not a choice", section.kind)
        };
        for key in keys_of(section.kind, None) {
            assert!(key.variants.iter().all(|v| variants.contains(v)), "{}", key.name);
        }
    }
}
