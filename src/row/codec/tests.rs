#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::row::tests::Click;
use crate::{EventTime, Kind};
use proptest::prelude::*;

#[test]
fn blocks_of_rows() {
    let rows: Vec<_> =
        (0..5).map(|user| Click { user, page: "/".to_owned(), at: EventTime::MIN }).collect();
    let mut block = Vec::new();
    Canonical::encode(&rows, &mut block);
    assert_eq!(<Canonical as Codec<Click>>::decode(&block).unwrap(), rows);
    for cut in 0..block.len() {
        let error = <Canonical as Codec<Click>>::decode(&block[..cut]).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{cut}");
    }
    block.push(0);
    let error = <Canonical as Codec<Click>>::decode(&block).unwrap_err();
    assert!(error.message().contains("block of rows Click, byte 109 of 110"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(prop_oneof![0..3_u8, any::<u8>()], 0..60)) {
        if let Ok(rows) = <Canonical as Codec<(u8, String)>>::decode(&bytes) {
            let mut again = Vec::new();
            Canonical::encode(&rows, &mut again);
            prop_assert_eq!(again, bytes);
        }
    }
}
