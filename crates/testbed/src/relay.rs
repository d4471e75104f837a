//! Relays between clients and a service that break what passes: whole gRPC messages
//! ([`MessageRelay`]) or the connection below them ([`TcpRelay`]).

mod messages;
mod tcp;

pub use messages::{Fate, Hand, MessageRelay, Seen, pass};
pub use tcp::{Cut, TcpRelay};
