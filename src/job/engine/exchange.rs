//! A connection of the cluster, as timely takes it.

use crate::cluster::Socket;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use timely::communication::allocator::zero_copy::stream::Stream;

/// The way of rows between two processes.
pub(crate) struct Exchange(pub(crate) Socket);

impl Read for Exchange {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Exchange {
    fn try_clone(&self) -> io::Result<Exchange> {
        self.0.try_clone().map(Exchange)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}
