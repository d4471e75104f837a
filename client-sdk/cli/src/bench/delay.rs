//! A connection to a service that is some milliseconds away.
//!
//! Threads and blocking sockets: the timers of the asynchronous runtime are a millisecond coarse.

#![expect(
    clippy::disallowed_methods,
    reason = "threads of their own sleep here, none of a runtime"
)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const CHUNK: usize = 64 << 10;

/// Listens on loopback and hands everything on to `service`, each direction later by half of
/// `round_trip`. Ends with the process.
pub fn proxy(service: SocketAddr, round_trip: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming() {
            // A connection that fails is the client's to repeat.
            let _ = client.and_then(|client| connect(client, service, round_trip / 2));
        }
    });
    Ok(address)
}

fn connect(client: TcpStream, service: SocketAddr, delay: Duration) -> io::Result<()> {
    let service = TcpStream::connect(service)?;
    client.set_nodelay(true)?;
    service.set_nodelay(true)?;
    hand_on(client.try_clone()?, service.try_clone()?, delay);
    hand_on(service, client, delay);
    Ok(())
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, chunks) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            let bytes = chunk.iter().take(length).copied().collect();
            if sender.send((Instant::now() + delay, bytes)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in chunks {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        // The other side has said its last word.
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_whole_and_not_before_their_time() {
        let echo = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = echo.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = echo.accept().unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            stream.write_all(&bytes).unwrap();
        });
        let round_trip = Duration::from_millis(30);
        let mut stream = TcpStream::connect(proxy(service, round_trip).unwrap()).unwrap();
        let sent: Vec<u8> = (0..200_000_u32).map(|index| index as u8).collect();
        let begun = Instant::now();
        stream.write_all(&sent).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        assert!(begun.elapsed() >= round_trip);
        assert_eq!(received, sent);
    }
}
