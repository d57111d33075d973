use super::*;
use crate::Kind;
use crate::row::codec::Canonical;
use proptest::prelude::*;

fn block<R: Admitted>(rows: &[R]) -> Vec<u8> {
    // Whatever stands before the block does not matter.
    let mut out = vec![7; 3];
    Abomonated::encode(rows, &mut out);
    out.split_off(3)
}

fn survives<R: Admitted>(rows: Vec<R>) {
    let bytes = block(&rows);
    assert_eq!(<Abomonated as Codec<R>>::decode(&bytes), Ok(rows.clone()));
    assert_eq!(block(&rows.clone()), bytes, "equal rows have equal bytes");
    let mut canonical = Vec::new();
    Canonical::encode(&rows, &mut canonical);
    assert_eq!(<Canonical as Codec<R>>::decode(&canonical), Ok(rows));
}

/// Puts the checksum right again, as malice would.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&bytes);
    bytes[32..HEAD].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn another_type_or_layout_is_refused() {
    let bytes = block(&[1_u64, 2]);
    for error in [
        <Abomonated as Codec<i64>>::decode(&bytes).map(|_| ()),
        <Abomonated as Codec<Vec<u64>>>::decode(&bytes).map(|_| ()),
        <Abomonated as Codec<String>>::decode(&block(&[vec![b'a'; 3]])).map(|_| ()),
    ] {
        assert_eq!(error.map_err(|error| error.kind()), Err(Kind::Config));
    }
    for at in [0, 4, 5, 8, 9] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        let error =
            <Abomonated as Codec<u64>>::decode(&sealed(other)).map_err(|error| error.kind());
        assert_eq!(error, Err(Kind::Config), "byte {at}");
    }
}

#[test]
fn every_changed_bit_and_every_cut_is_noticed() {
    let bytes = block(&["héh".to_owned(), String::new(), "x".to_owned()]);
    let kind =
        |bytes: &[u8]| <Abomonated as Codec<String>>::decode(bytes).map_err(|error| error.kind());
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(kind(&changed), Err(Kind::Corrupt), "bit {bit}");
    }
    for cut in 0..bytes.len() {
        assert_eq!(kind(&bytes[..cut]), Err(Kind::Corrupt), "cut {cut}");
    }
}

/// What decodes at all is what its rows encode to.
fn is_canonical<R: Admitted>(bytes: Vec<u8>) {
    if let Ok(rows) = <Abomonated as Codec<R>>::decode(&bytes) {
        assert_eq!(block(&rows), bytes);
    }
}

#[test]
fn headers_are_checked_though_the_checksum_fits() {
    let rows = [vec!["abc".to_owned(), "é".to_owned()], vec![]];
    let bytes = block(&rows);
    for word in HEAD / 8..bytes.len() / 8 {
        for value in [0, 1, usize::MAX, isize::MAX as usize, 1 << 60, (isize::MAX as usize) + 1] {
            let mut forged = bytes.clone();
            forged[word * 8..][..8].copy_from_slice(&value.to_ne_bytes());
            is_canonical::<Vec<String>>(sealed(forged));
        }
    }
    let mut text = block(&["é".to_owned()]);
    let last = text.len() - 1;
    text[last] = 0xff;
    let error = <Abomonated as Codec<String>>::decode(&sealed(text)).map_err(|error| error.kind());
    assert_eq!(error, Err(Kind::Corrupt));
}

proptest! {
    #[test]
    fn rows_survive(
        small in any::<Vec<u8>>(),
        odd in prop::collection::vec(any::<Vec<i16>>(), 0..5),
        wide in any::<Vec<u64>>(),
        texts in prop::collection::vec(".{0,9}", 0..9),
        lists in prop::collection::vec(prop::collection::vec(".{0,9}", 0..4), 0..4),
    ) {
        survives(vec![small.clone(), vec![], small.clone()]);
        survives(small);
        survives(odd);
        survives(vec![wide.clone(), wide.clone()]);
        survives(wide);
        survives(texts);
        survives(lists);
    }

    #[test]
    fn no_bytes_panic(tail in prop::collection::vec(prop_oneof![3 => Just(0_u8), 2 => prop::sample::select(vec![1_u8, 2, 8]), 1 => any::<u8>()], 0..200), count in 0..4_usize) {
        fn check<R: Admitted>(tail: &[u8], count: usize) {
            is_canonical::<R>(sealed([&head(&R::schema(), count)[..], tail].concat()));
        }
        check::<u32>(&tail, count);
        check::<String>(&tail, count);
        check::<Vec<u32>>(&tail, count);
        check::<Vec<String>>(&tail, count);
    }
}
