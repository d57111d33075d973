//! A connection with another process, as everything else sees it: bytes in order, both ways. Whether they are encrypted on their
//! way is not seen here.

use super::pump::Pump;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// A socket of TCP, or the plain end of a [`Pump`].
#[derive(Debug)]
pub(crate) struct Socket {
    inner: socket2::Socket,
    user: Option<Arc<User>>,
}

/// All handles of a pump's plain end; with the last one the user has gone.
#[derive(Debug)]
struct User(Arc<Pump>);

impl Drop for User {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Socket {
    /// Bytes go as they are, each as soon as it is written.
    pub(super) fn plain(stream: TcpStream) -> io::Result<Socket> {
        stream.set_nodelay(true)?;
        Ok(Socket { inner: stream.into(), user: None })
    }

    /// Bytes go through `pump`, whose other end this is.
    pub(super) fn pumped(end: UnixStream, pump: Arc<Pump>) -> Socket {
        Socket { inner: end.into(), user: Some(Arc::new(User(pump))) }
    }

    /// Another handle of the same connection.
    pub(crate) fn try_clone(&self) -> io::Result<Socket> {
        Ok(Socket { inner: self.inner.try_clone()?, user: self.user.clone() })
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.inner.set_nonblocking(nonblocking)
    }

    pub(super) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.inner.set_read_timeout(timeout)
    }

    pub(super) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.inner.set_write_timeout(timeout)
    }

    /// Ends one direction or both. What was written before still goes, as long as the process lives ([`super::pump::Pumps::drain`]).
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let ended = self.inner.shutdown(how);
        match (&self.user, how) {
            (Some(user), Shutdown::Write) => user.0.hang_up(),
            (Some(user), Shutdown::Both) => user.0.leave(),
            _ => {}
        }
        ended
    }

    /// Whether the other side has closed a connection that nobody reads yet.
    pub(super) fn is_closed(&self) -> bool {
        let peeked = self.set_nonblocking(true).and_then(|()| {
            let mut byte = [MaybeUninit::uninit()];
            self.inner.peek(&mut byte)
        });
        let restored = self.set_nonblocking(false);
        let open = match peeked {
            Ok(bytes) => bytes > 0,
            Err(e) => e.kind() == io::ErrorKind::WouldBlock,
        };
        !open || restored.is_err()
    }

    /// What went wrong with the encryption, if something did.
    pub(super) fn broken(&self) -> Option<String> {
        self.user.as_ref().and_then(|user| user.0.broken())
    }

    /// Whether bytes go as soon as they are written.
    #[cfg(test)]
    pub(super) fn is_prompt(&self) -> bool {
        self.user.is_some() || self.inner.tcp_nodelay().is_ok_and(|prompt| prompt)
    }
}

impl Read for &Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (&self.inner).read(bytes)
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (&*self).read(bytes)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
