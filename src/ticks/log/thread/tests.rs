#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::ticks::fixtures::*;
use crate::ticks::log::append_and_count;
use crate::ticks::log::memory::{Fault, MemoryLog};
use std::sync::mpsc::{Receiver, channel};

const DEADLINE: Duration = Duration::from_secs(30);

/// Never looks by itself within a test.
fn settings() -> Settings {
    Settings { look_after: Duration::from_secs(3600), ..Settings::default() }
}

fn lead_with(log: &MemoryLog, generation: u64, settings: Settings) -> (LogThread, Receiver<Event>) {
    let mut handle = log.handle();
    let mut counter = Counter::new();
    append_and_count(&mut handle, &mut counter, &[open(generation)]).unwrap();
    let (tell, events) = channel();
    let on = move |event| tell.send(event).unwrap();
    let generation = Generation(generation);
    (LogThread::start(Box::new(handle), counter, generation, settings, on).unwrap(), events)
}

fn lead(log: &MemoryLog, generation: u64) -> (LogThread, Receiver<Event>) {
    lead_with(log, generation, settings())
}

fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(DEADLINE).unwrap()
}

#[test]
fn every_own_record_is_told_in_order_and_stop_gives_all_back() {
    let log = MemoryLog::new();
    let (thread, events) = lead(&log, 1);
    let appender = thread.appender();
    let records = [tick(1, 1), snapshot(1, 1), tick(1, 2), drop_below(1, 1)];
    for record in &records {
        appender.append(record.clone()).unwrap();
    }
    let (_, counter) = thread.stop();
    assert_eq!(events.iter().collect::<Vec<_>>(), records.clone().map(Event::Counted));
    assert_eq!((counter.last_tick(), appender.last_tick()), (2, 2));
    assert_eq!(counter.ticks_after(2).err().unwrap().kind(), Kind::Internal, "none are kept");
    assert_eq!(log.records()[1..], records);
    assert_eq!(appender.append(tick(1, 3)).unwrap_err().kind(), Kind::Internal);
    assert_eq!(log.records().len(), 5);
}

#[test]
fn whoever_looks_is_told_that_another_one_leads() {
    let log = MemoryLog::new();
    let (thread, events) = lead(&log, 1);
    let appender = thread.appender();
    appender.look().unwrap();
    let (_other, _) = lead(&log, 2);
    assert_eq!(appender.look().unwrap_err().kind(), Kind::Fenced);
    assert_eq!(next(&events), Event::Deposed { by: Generation(2) });
    assert_eq!(appender.look().unwrap_err().kind(), Kind::Fenced, "also once the thread has ended");
}

/// A log that tells how large its appends are, and holds each until it is let go.
struct Gated {
    log: Box<dyn Log>,
    sizes: std::sync::mpsc::Sender<usize>,
    go: Receiver<()>,
}

impl Log for Gated {
    fn describe(&self) -> String {
        self.log.describe()
    }
    fn log_id(&self) -> crate::ids::Nonce {
        self.log.log_id()
    }
    fn read(&mut self, each: &mut dyn FnMut(Position, Record) -> Result<()>) -> Result<()> {
        self.log.read(each)
    }
    fn append(&mut self, records: &[Record]) -> Result<Vec<Entry>> {
        self.sizes.send(records.len()).unwrap();
        self.go.recv().unwrap();
        self.log.append(records)
    }
    fn cut(&mut self, position: Position) -> Result<()> {
        self.log.cut(position)
    }
}

#[test]
fn what_waits_is_one_append() {
    let log = MemoryLog::new();
    let mut handle = log.handle();
    let mut counter = Counter::new();
    append_and_count(&mut handle, &mut counter, &[open(1)]).unwrap();
    let ((tell, sizes), (go, gate)) = (channel(), channel());
    let gated = Box::new(Gated { log: Box::new(handle), sizes: tell, go: gate });
    let settings = Settings { group_records: 3, ..settings() };
    let thread = LogThread::start(gated, counter, Generation(1), settings, |_| {}).unwrap();
    let appender = thread.appender();
    appender.append(tick(1, 1)).unwrap();
    assert_eq!(sizes.recv_timeout(DEADLINE), Ok(1));
    for t in 2..=6 {
        appender.append(tick(1, t)).unwrap();
    }
    for _ in 0..3 {
        go.send(()).unwrap();
    }
    let (_, counter) = thread.stop();
    assert_eq!(sizes.iter().collect::<Vec<_>>(), [3, 2]);
    assert_eq!(counter.last_tick(), 6);
}

/// PROTOCOL 8, D3: the append was acknowledged, but a newer open stands before it.
#[test]
fn a_newer_open_before_ones_own_record_deposes() {
    let log = MemoryLog::new();
    let (thread, events) = lead(&log, 1);
    let appender = thread.appender();
    appender.append(tick(1, 1)).unwrap();
    assert_eq!(next(&events), Event::Counted(tick(1, 1)));
    log.handle().append(&[open(2), tick(2, 2)]).unwrap();
    appender.append(tick(1, 2)).unwrap();
    assert_eq!(next(&events), Event::Deposed { by: Generation(2) });
    thread.stop();
    assert!(events.recv().is_err(), "nothing is told after it");
    let error = appender.append(tick(1, 2)).unwrap_err();
    assert_eq!(error.kind(), Kind::Fenced);
    assert!(error.message().contains("generation 2 leads now"), "{error}");
    assert_eq!(appender.last_tick(), 1);
}

/// PROTOCOL 8.
#[test]
fn what_a_leader_does_about_a_record() {
    let [older, own, newer] = [1, 2, 3].map(Generation);
    let not_open = |g| Verdict::Not(Why::NotOpen(Some(g)));
    let opened = Verdict::Not(Why::OpenedBefore(newer));
    let jump = Why::NotNext(4);
    let end = |by| OnRecord::End { by };
    let defect = OnRecord::Defect;
    #[rustfmt::skip]
    let table = [
        ("own, counts", true, own, Verdict::Counts, OnRecord::Act),
        ("D3: own, acknowledged, behind a newer open", true, own, not_open(newer), end(newer)),
        ("own, the open was never appended", true, own, not_open(older), defect(Why::NotOpen(Some(older)))),
        ("own, out of turn", true, own, Verdict::Not(jump), defect(jump)),
        ("a newer open", false, newer, Verdict::Counts, end(newer)),
        ("a double of oneself", false, own, Verdict::Counts, end(own)),
        ("a zombie's tick", false, older, not_open(own), OnRecord::Ignore),
        ("a loser's open", false, older, opened, OnRecord::Ignore),
    ];
    for (name, is_own, generation, verdict, expected) in table {
        assert_eq!(on_record(is_own, generation, verdict), expected, "{name}");
    }
}

/// PROTOCOL 8: an idle zombie notices by looking.
#[test]
fn a_newer_open_is_noticed_without_an_append() {
    let log = MemoryLog::new();
    let soon = Settings { look_after: Duration::from_millis(1), ..settings() };
    let (thread, events) = lead_with(&log, 1, soon);
    log.handle().append(&[tick(0, 1), open(1)]).unwrap();
    log.handle().append(&[open(3)]).unwrap();
    assert_eq!(
        next(&events),
        Event::Deposed { by: Generation(3) },
        "what does not count is nothing"
    );
    thread.stop();
}

/// A record that counts and is not one's own, although of one's own generation: somebody else has it.
#[test]
fn a_foreign_record_of_ones_own_generation_deposes() {
    let log = MemoryLog::new();
    let (thread, events) = lead(&log, 1);
    log.handle().append(&[tick(1, 1)]).unwrap();
    thread.appender().append(tick(1, 1)).unwrap();
    assert_eq!(next(&events), Event::Deposed { by: Generation(1) });
    thread.stop();
}

#[test]
fn a_lost_answer_fails_and_nothing_more_is_appended() {
    let log = MemoryLog::new();
    let (thread, events) = lead(&log, 1);
    let appender = thread.appender();
    log.fail_next(Fault::Pending);
    appender.append(tick(1, 1)).unwrap();
    let Event::Failed(error) = next(&events) else { panic!("it failed") };
    assert_eq!(error.kind(), Kind::Undecided);
    thread.stop();
    assert_eq!(appender.append(tick(1, 1)).unwrap_err(), error);
    log.land();
    assert_eq!(log.records(), [open(1), tick(1, 1)], "it had landed once, and only once");
    assert_eq!(appender.last_tick(), 0, "not known to count");
}

#[test]
fn a_lost_answer_while_another_one_leads_is_told_as_that() {
    let log = MemoryLog::new();
    let (thread, events) = lead(&log, 1);
    let (_other, _) = lead(&log, 2);
    log.fail_next(Fault::Lost);
    thread.appender().append(tick(1, 1)).unwrap();
    assert_eq!(next(&events), Event::Deposed { by: Generation(2) });
}

#[test]
fn a_tick_out_of_turn_is_a_defect() {
    let (thread, events) = lead(&MemoryLog::new(), 1);
    thread.appender().append(tick(1, 2)).unwrap();
    let Event::Failed(error) = next(&events) else { panic!("it failed") };
    assert_eq!(error.kind(), Kind::Internal);
    thread.stop();
}

#[test]
fn who_does_not_lead_gets_no_thread() {
    let log = MemoryLog::new();
    let mut handle = log.handle();
    let mut counter = Counter::new();
    append_and_count(&mut handle, &mut counter, &[open(2)]).unwrap();
    let started = LogThread::start(Box::new(handle), counter, Generation(1), settings(), |_| {});
    assert_eq!(started.unwrap_err().kind(), Kind::Fenced);
}

/// PROTOCOL 14: the mark stands where it was asked for, and a cut goes to the newest mark at or below the root.
#[test]
fn mark_and_cut() {
    let log = MemoryLog::new();
    let (thread, events) = lead(&log, 1);
    let appender = thread.appender();
    appender.mark().unwrap();
    for t in 1..=3 {
        appender.append(tick(1, t)).unwrap();
        appender.mark().unwrap();
    }
    appender.cut(0).unwrap();
    appender.append(tick(1, 4)).unwrap();
    let (handle, counter) = thread.stop();
    let told: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Counted(Record::State(state)) => -(state.tick as i64),
            Event::Counted(Record::Tick(tick)) => tick.decision.tick as i64,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [1, -1, 2, -2, 3, -3, 4], "no mark before the first tick");
    assert_eq!(log.records().len(), 8, "nothing to cut at 0");

    let thread = LogThread::start(handle, counter, Generation(1), settings(), |_| {}).unwrap();
    thread.appender().cut(2).unwrap();
    thread.appender().cut(2).unwrap();
    let (_, counter) = thread.stop();
    let [Record::State(head), rest @ ..] = &log.records()[..] else { panic!("a state") };
    assert_eq!((head.tick, rest.len()), (2, 3));
    assert_eq!(counter.reaches_back_to(), 2);
}
