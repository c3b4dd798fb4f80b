//! The kernel's network configuration over `rtnetlink(7)`.
//!
//! One [`Socket`] sends one request and reads its whole answer before the next, in the calling
//! thread. An async runtime was rejected: ncf makes a few dozen requests in its life, each of which
//! the kernel answers before `send` returns. Running `ip` was rejected too: its messages are for
//! people, its exit status does not tell "exists already" from "not permitted", and on the day of a
//! rollback a process is one more thing that can fail to start.
//!
//! The methods of [`Socket`] are spread over a file for each kind of object: [`link`] with [`bond`], [`bridge`]
//! and [`vlan`], [`address`], [`route`], [`rule`], [`tc`], [`ifb`], [`function`]. Each says in its error what it was doing, to what, and in the kernel's words why not
//! ("cannot add 192.0.2.1/24 to eth0: File exists"); [`Refusal::of`] finds the error number again.
//!
//! A message in a dump that the decoder does not understand is left out of the list, for some
//! exotic tunnel's attributes must not keep an Ethernet card from coming up.
//!
//! The socket belongs to the network namespace that its opener's thread was in.

pub mod address;
pub mod bond;
pub mod bridge;
pub mod bridge_port;
pub mod counters;
pub mod function;
pub mod ifb;
pub mod ipv6;
pub mod link;
mod lookup;
pub mod macvtap;
pub mod new_bridge;
pub mod options;
mod raw;
mod refusal;
pub mod route;
pub mod rule;
pub mod speed;
pub mod tc;
pub mod vlan;

use std::fmt::Display;
use std::io;

use netlink_packet_core::{
    ErrorBuffer, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_ECHO, NLM_F_REQUEST, NLMSG_DONE,
    NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN, NetlinkBuffer, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;

use crate::error::{Context, Result};

use refusal::Outcome;
pub use refusal::Refusal;

/// Bytes for one datagram. The kernel builds dumps in buffers of at most 32 KiB
/// (`netlink_recvmsg()` in `net/netlink/af_netlink.c`); a single answer is far smaller.
const DATAGRAM: usize = 128 * 1024;

/// Bytes of receive buffer to ask for; the kernel caps it at `net.core.rmem_max`.
const RECEIVE_BUFFER: i32 = 1024 * 1024;

/// How often a dump that a change of the configuration interrupted is begun again.
const DUMP_ATTEMPTS: u32 = 16;

/// `MSG_TRUNC` of `<linux/socket.h>`: tell the datagram's real length.
const MSG_TRUNC: i32 = 0x20;

/// Netlink messages are aligned to four bytes (`NLMSG_ALIGNTO` in `<linux/netlink.h>`).
const ALIGN: usize = 4;

/// A connection to the kernel's network configuration.
pub struct Socket {
    inner: netlink_sys::Socket,
    sequence: u32,
}

/// What may be sent and is answered in kind: the library's typed messages, and [`raw::Raw`] ones.
trait Message: NetlinkSerializable + NetlinkDeserializable + Clone {}

impl Message for RouteNetlinkMessage {}
impl Message for raw::Raw {}

/// What one message of an answer says about the answer as a whole.
enum Reading {
    /// There is more to come.
    More,
    /// That was the end of it.
    End,
}

impl Socket {
    /// Opens a connection into the network namespace of the calling thread.
    pub fn open() -> Result<Self> {
        Self::connect().context(|| "cannot open a netlink socket")
    }

    fn connect() -> io::Result<Self> {
        let mut inner = netlink_sys::Socket::new(NETLINK_ROUTE)?;
        inner.bind_auto()?;
        inner.connect(&SocketAddr::new(0, 0))?;
        // All three are comforts that an old kernel may lack: more room, the kernel's own words on
        // why it refuses, and dumps of only what was asked for.
        let _ = inner.set_rx_buf_sz(RECEIVE_BUFFER);
        let _ = inner.set_ext_ack(true);
        let _ = inner.set_cap_ack(true);
        let _ = inner.set_netlink_get_strict_chk(true);
        Ok(Self { inner, sequence: 0 })
    }

    /// Asks for a change and waits until the kernel says that it is made.
    fn change<M: Message>(&mut self, message: M, flags: u16) -> Outcome<()> {
        self.exchange(message, NLM_F_ACK | flags).map(drop)
    }

    /// Asks for one object.
    fn get<M: Message>(&mut self, message: M) -> Outcome<Option<M>> {
        self.exchange(message, NLM_F_ACK)
            .map(|answers| answers.into_iter().next())
    }

    /// Asks for one object where the kernel, asked as in [`Socket::get`], tells only those who listen for changes
    /// (`qdisc_get_notify()` in `net/sched/sch_api.c`).
    fn get_echoed<M: Message>(&mut self, message: M) -> Outcome<Option<M>> {
        self.exchange(message, NLM_F_ACK | NLM_F_ECHO)
            .map(|answers| answers.into_iter().next())
    }

    /// Asks for all objects of a kind, and again while the answer is not of one moment.
    fn dump<M: Message>(&mut self, message: &M) -> Outcome<Vec<M>> {
        let mut last = Refusal::from(Errno::EAGAIN);
        for _ in 0..DUMP_ATTEMPTS {
            match self.exchange(message.clone(), NLM_F_DUMP) {
                Err(refusal) if refusal.is_any(&[Errno::EAGAIN, Errno::ENOBUFS]) => last = refusal,
                outcome => return outcome,
            }
        }
        Err(last)
    }

    /// Sends a request and reads everything up to the end of its answer.
    fn exchange<M: Message>(&mut self, message: M, flags: u16) -> Outcome<Vec<M>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.sequence_number = self.sequence;
        header.flags = NLM_F_REQUEST | flags;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::<M>::InnerMessage(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        uninterrupted(|| self.inner.send(&bytes, 0))?;

        let single = flags & NLM_F_DUMP != NLM_F_DUMP;
        let mut answers = Vec::new();
        let mut interrupted = false;
        loop {
            let datagram = self.receive()?;
            let mut rest = datagram.as_slice();
            while let Ok(buffer) = NetlinkBuffer::new_checked(rest) {
                let length = usize::try_from(buffer.length()).unwrap_or(usize::MAX);
                if buffer.sequence_number() == self.sequence {
                    interrupted |= buffer.flags() & NLM_F_DUMP_INTR != 0;
                    if let Reading::End = read(&buffer, single, &mut answers)? {
                        return if interrupted {
                            Err(Refusal::new(
                                Errno::EAGAIN,
                                "it kept changing while it was read",
                            ))
                        } else {
                            Ok(answers)
                        };
                    }
                }
                rest = rest
                    .get(length.next_multiple_of(ALIGN)..)
                    .unwrap_or_default();
            }
        }
    }

    /// One datagram from the kernel. What another process sent is passed over.
    fn receive(&self) -> Outcome<Vec<u8>> {
        loop {
            let mut datagram = Vec::with_capacity(DATAGRAM);
            let (length, sender) =
                uninterrupted(|| self.inner.recv_from(&mut datagram, MSG_TRUNC))?;
            if sender.port_number() != 0 {
                continue;
            }
            if length > datagram.len() {
                return Err(Refusal::new(Errno::EMSGSIZE, "the answer was cut short"));
            }
            return Ok(datagram);
        }
    }
}

/// Takes in one message of an answer.
fn read<M: Message>(
    buffer: &NetlinkBuffer<&[u8]>,
    single: bool,
    answers: &mut Vec<M>,
) -> Outcome<Reading> {
    match buffer.message_type() {
        NLMSG_ERROR => match ErrorBuffer::new_checked(buffer.payload()) {
            Ok(error) => match error.code() {
                Some(code) => Err(Refusal::from_error(
                    code.get(),
                    error.payload(),
                    buffer.flags(),
                )),
                None => Ok(Reading::End),
            },
            Err(why) => Err(undecodable(&why)),
        },
        NLMSG_DONE => {
            let code = buffer.payload().first_chunk().copied();
            match code.map_or(0, i32::from_ne_bytes) {
                0.. => Ok(Reading::End),
                code => Err(Refusal::from_done(code, buffer.payload())),
            }
        }
        NLMSG_NOOP => Ok(Reading::More),
        NLMSG_OVERRUN => Err(Refusal::from(Errno::ENOBUFS)),
        kind => {
            let mut header = NetlinkHeader::default();
            header.message_type = kind;
            header.flags = buffer.flags();
            match M::deserialize(&header, buffer.payload()) {
                Ok(message) => answers.push(message),
                Err(why) if single => return Err(undecodable(&why)),
                Err(_) => {}
            }
            Ok(Reading::More)
        }
    }
}

fn undecodable(why: &impl Display) -> Refusal {
    Refusal::new(Errno::EBADMSG, &why.to_string())
}

/// Repeats a call that a signal interrupted.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> Outcome<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
                return Err(Refusal::from(errno));
            }
            Ok(value) => return Ok(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of `kind` with `payload`, as the kernel lays it out.
    fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u32::try_from(16 + payload.len()).unwrap().to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_dump_that_ends_in_an_error_is_an_error() {
        let bytes = message(NLMSG_DONE, 0, &(-19_i32).to_ne_bytes());
        let buffer = NetlinkBuffer::new_checked(bytes.as_slice()).unwrap();
        let refusal = read::<RouteNetlinkMessage>(&buffer, false, &mut Vec::new())
            .err()
            .unwrap();
        assert!(refusal.is_any(&[Errno::ENODEV]));
    }

    #[test]
    fn an_acknowledgement_ends_an_answer() {
        let bytes = message(NLMSG_ERROR, 0, &[0; 20]);
        let buffer = NetlinkBuffer::new_checked(bytes.as_slice()).unwrap();
        let reading = read::<RouteNetlinkMessage>(&buffer, true, &mut Vec::new()).unwrap();
        assert!(matches!(reading, Reading::End));
    }

    #[test]
    fn what_cannot_be_decoded_is_left_out_of_a_dump_but_fails_a_lookup() {
        let bytes = message(16, 0, &[1, 2]);
        let buffer = NetlinkBuffer::new_checked(bytes.as_slice()).unwrap();
        let mut answers = Vec::<RouteNetlinkMessage>::new();
        assert!(matches!(
            read(&buffer, false, &mut answers),
            Ok(Reading::More)
        ));
        assert!(answers.is_empty());
        assert!(read(&buffer, true, &mut answers).is_err());
    }
}
