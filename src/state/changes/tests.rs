use super::*;

fn changes(buffer: &mut ChangeBuffer) -> Changes {
    buffer.take(Vec::new())
}

#[test]
fn changes_come_out_as_they_went_in() {
    let mut buffer = ChangeBuffer::new();
    buffer.put(3, 9, |k| k.extend(b"key"), |v| v.extend(b"value"));
    buffer.put(0, 9, |_| {}, |_| {});
    buffer.remove(65_535, u64::MAX, |k| k.push(1));
    buffer.remove_prefix(1, 10, |k| k.extend(b"pre"));
    let taken = changes(&mut buffer);
    assert_eq!(taken.count(), 4);
    let expected = [
        Change { uid: 3, tick: 9, key: b"key", what: What::Put(b"value") },
        Change { uid: 0, tick: 9, key: b"", what: What::Put(b"") },
        Change { uid: 65_535, tick: u64::MAX, key: &[1], what: What::Remove },
        Change { uid: 1, tick: 10, key: b"pre", what: What::RemovePrefix },
    ];
    assert_eq!(taken.iter().collect::<Vec<_>>(), expected);
    assert!(buffer.is_empty() && changes(&mut buffer).is_empty());
}

#[test]
fn a_buffer_is_due_when_it_is_large_or_old_and_never_when_empty() {
    let mut buffer = ChangeBuffer::new();
    let now = clock::instant();
    let later = now + BUFFER_AGE * 1000;
    assert!(!buffer.due_at(later) && !buffer.due());
    buffer.remove(0, 1, |k| k.push(1));
    assert!(!buffer.due_at(now));
    assert!(buffer.due_at(later));
    buffer.put(0, 1, |_| {}, |v| v.resize(BUFFER_BYTES, 0));
    assert!(buffer.due_at(now));
    let memory = changes(&mut buffer).into_bytes();
    assert!(!buffer.due_at(later), "the age begins anew");
    // Memory that came back is used: no allocation follows.
    let capacity = memory.capacity();
    buffer.take(memory);
    buffer.put(0, 1, |_| {}, |v| v.resize(BUFFER_BYTES, 0));
    assert_eq!(changes(&mut buffer).into_bytes().capacity(), capacity);
}
