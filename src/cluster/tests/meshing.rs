use super::super::*;
use super::certificates::{Authority, identity};
use super::fixture::*;
use crate::error::Kind;
use crate::ids::{Generation, Nonce};
use crate::job::engine::exchange::Exchange as Connection;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::dataflow::operators::{Exchange, Inspect, ToStream};

const WORKERS: usize = 2;
const NUMBERS: u64 = 1000;

/// Every worker of a process sends all numbers to the worker that each belongs to, which tells what it has got.
fn compute(process: usize, sockets: Vec<Option<Socket>>, told: Sender<(usize, u64)>) {
    let hooks = Hooks::default();
    let sockets = sockets.into_iter().map(|socket| socket.map(Connection)).collect();
    let local = ProcessBuilder::new_bytes_vector(WORKERS, hooks.refill.clone(), None);
    let (builders, guard) =
        initialize_networking_from_sockets(local, sockets, process, WORKERS, hooks).unwrap();
    let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
    let told = Arc::new(Mutex::new(told));
    let config = timely::WorkerConfig::default();
    let run = move |worker: &mut timely::worker::Worker| {
        let told = told.lock().unwrap().clone();
        let index = worker.index();
        worker.dataflow::<u64, _, _>(|scope| {
            (0..NUMBERS)
                .to_stream(scope)
                .container::<Vec<_>>()
                .exchange(|number| *number)
                .inspect(move |number| told.send((index, *number)).unwrap());
        });
    };
    let guards = timely::execute::execute_from(builders, Box::new(guard), config, run).unwrap();
    for result in guards.join() {
        result.unwrap();
    }
}

#[test]
fn timely_computes_over_three_processes() {
    compute_over(members(3));
}

#[test]
fn and_over_encrypted_connections() {
    let authority = Authority::new();
    compute_over(members_with(3, |members| members.tls = Some(identity(&authority, "127.0.0.1"))));
}

fn compute_over(members: Vec<(TcpListener, Members)>) {
    let (told, hear) = channel();
    let threads: Vec<_> = members
        .into_iter()
        .enumerate()
        .map(|(process, one)| {
            let told = told.clone();
            std::thread::spawn(move || {
                let joined = join(one).unwrap();
                if process == 0 {
                    joined.control.send_all(&"generation 3".into()).unwrap();
                } else {
                    assert_eq!(joined.hears(), "0 says generation 3");
                }
                let sockets = joined.port.mesh(Generation(3), Nonce(9)).unwrap();
                let there: Vec<_> = sockets.iter().map(Option::is_some).collect();
                assert_eq!(there, [0, 1, 2].map(|other| other != process));
                assert!(sockets.iter().flatten().all(|socket| socket.is_prompt()));
                compute(process, sockets, told);
                // Nobody leaves before all are done.
                joined
            })
        })
        .collect();
    drop(told);
    let mut got = BTreeMap::<u64, Vec<usize>>::new();
    for (worker, number) in hear {
        got.entry(number).or_default().push(worker);
    }
    let workers = 3 * WORKERS;
    assert_eq!(got.len() as u64, NUMBERS);
    for (number, at) in got {
        let owner = (number % workers as u64) as usize;
        assert_eq!(at, vec![owner; workers], "{number} comes once from each worker to its own");
    }
    let joined: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let again = joined[1].port.mesh(Generation(4), Nonce(9)).unwrap_err();
    assert_eq!(again.kind(), Kind::Internal, "{again}");
}

#[test]
fn another_generation_does_not_mesh() {
    let all = members_with(2, |members| {
        members.limits.join_time_max = Duration::from_millis(500);
    });
    let mut processes = join_all(all);
    let one = processes.pop().unwrap();
    let of_one = std::thread::spawn(move || {
        let error = one.port.mesh(Generation(3), Nonce(8)).unwrap_err();
        (one, error)
    });
    let error = processes[0].port.mesh(Generation(3), Nonce(9)).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    let reason = "this is generation 3 (0000000000000009), not 3 (0000000000000008)";
    assert!(error.message().contains(&format!("was refused ({reason})")), "{error}");
    let (_one, error) = of_one.join().unwrap();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains(&format!("it refuses: {reason}")), "{error}");
}

#[test]
fn a_process_that_is_lost_ends_the_meshing_of_those_that_had_joined_it() {
    // Whether it waits to be dialled, or dials one that does not know the generation.
    for lost in [0, 1] {
        let mut processes = join_all(members(2));
        let goes = processes.remove(lost);
        let stays = processes.remove(0);
        let meshing = std::thread::spawn(move || stays.port.mesh(Generation(1), Nonce(1)));
        goes.crash();
        let error = meshing.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Retry);
        let expected = format!("process {lost} of the cluster is lost");
        assert!(error.message().contains(&expected), "{error}");
    }
}
