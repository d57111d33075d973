use super::*;
use std::sync::Arc;

#[test]
fn it_never_goes_back_whoever_moves_it() {
    let released = Released::default();
    std::thread::scope(|scope| {
        for start in 0..4u64 {
            let released = &released;
            scope.spawn(move || (start..4000).step_by(4).for_each(|tick| released.advance(tick)));
        }
        let mut last = 0;
        while last < 3999 {
            let now = released.now();
            assert!(now >= last);
            last = now;
        }
    });
    released.advance(7);
    assert_eq!(released.now(), 3999);
    assert_eq!(*released.moved.borrow(), 3999);
}

#[tokio::test]
async fn waiting_ends_when_the_tick_is_there() {
    let released = Arc::new(Released::default());
    let waits = tokio::spawn({
        let released = released.clone();
        async move { released.reach(5).await }
    });
    released.advance(4);
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    released.advance(6);
    assert_eq!(waits.await.expect("it ends"), 6);
    assert_eq!(released.reach(3).await, 6);
}
