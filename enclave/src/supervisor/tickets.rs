//! Tickets: the right to submit one job, for a short time by the enclave's own clock.

use std::collections::{HashMap, HashSet, VecDeque};

use duckblind_protocol::ids::{RandomError, Ticket};
use duckblind_protocol::job_code::JobCode;

use crate::clock::BootTime;

/// Tickets outstanding at a time.
pub const MAX_TICKETS: usize = 8192;
/// Of these, at most so many whose connection has ended: the rest is for open connections, of
/// which there are fewer.
const MAX_KEPT: usize = MAX_TICKETS / 2;

/// The outstanding tickets of one boot.
pub struct Tickets {
    life_ms: u64,
    issued: HashMap<Ticket, BootTime>,
    /// The same, oldest first; some of them may be taken already.
    order: VecDeque<(BootTime, Ticket)>,
    /// Those that outlive their connection.
    kept: HashSet<Ticket>,
}

/// Why there is no ticket.
#[derive(Debug)]
pub enum NoTicket {
    /// All places are taken; the oldest is free again in so many milliseconds.
    Full(u64),
    /// No randomness.
    Random(RandomError),
}

impl Tickets {
    /// None yet; each lives so many milliseconds.
    pub fn new(life_ms: u32) -> Self {
        Self {
            life_ms: life_ms.into(),
            issued: HashMap::new(),
            order: VecDeque::new(),
            kept: HashSet::new(),
        }
    }

    /// A fresh one.
    pub fn issue(&mut self, now: BootTime) -> Result<Ticket, NoTicket> {
        self.forget(now);
        if self.issued.len() >= MAX_TICKETS {
            let oldest = self.order.front().map_or(now, |(at, _)| *at);
            let age = now.since(oldest);
            return Err(NoTicket::Full(self.kept_ms().saturating_sub(age)));
        }
        let ticket = Ticket::random().map_err(NoTicket::Random)?;
        self.issued.insert(ticket, now);
        self.order.push_back((now, ticket));
        Ok(ticket)
    }

    /// Uses a ticket up; gives the time of its issue.
    pub fn take(&mut self, ticket: &Ticket, now: BootTime) -> Result<BootTime, JobCode> {
        let issued = self.remove(ticket).ok_or(JobCode::TicketUnknown)?;
        if now.since(issued) > self.life_ms {
            return Err(JobCode::TicketExpired);
        }
        Ok(issued)
    }

    /// Takes a ticket back that no job will come with.
    pub fn give_back(&mut self, ticket: &Ticket) {
        self.remove(ticket);
    }

    /// Its connection ends, but its job may come again. If there are too many of these already,
    /// it is taken back.
    pub fn keep(&mut self, ticket: &Ticket) {
        if self.kept.len() >= MAX_KEPT {
            self.give_back(ticket);
        } else if self.issued.contains_key(ticket) {
            self.kept.insert(*ticket);
        }
    }

    fn remove(&mut self, ticket: &Ticket) -> Option<BootTime> {
        self.kept.remove(ticket);
        self.issued.remove(ticket)
    }

    /// An expired ticket is remembered as long again, so that its bearer learns what is wrong.
    fn kept_ms(&self) -> u64 {
        self.life_ms.saturating_mul(2)
    }

    fn forget(&mut self, now: BootTime) {
        while let Some((issued, ticket)) = self.order.front().copied() {
            let gone = !self.issued.contains_key(&ticket);
            if !gone && now.since(issued) <= self.kept_ms() {
                break;
            }
            self.remove(&ticket);
            self.order.pop_front();
        }
        // Those behind a live one: now and then, so that they do not pile up.
        if self.order.len() >= 2 * MAX_TICKETS {
            let issued = &self.issued;
            self.order.retain(|(_, ticket)| issued.contains_key(ticket));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const T0: BootTime = BootTime::from_millis(1_000_000);

    #[test]
    fn single_use() {
        let mut tickets = Tickets::new(60_000);
        let ticket = tickets.issue(T0).unwrap();
        let now = T0.plus(60_000);
        assert_eq!(tickets.take(&ticket, now), Ok(T0));
        assert_eq!(tickets.take(&ticket, now), Err(JobCode::TicketUnknown));
    }

    #[test]
    fn expiry_is_told_apart_from_ignorance() {
        let mut tickets = Tickets::new(1000);
        let ticket = tickets.issue(T0).unwrap();
        let late = T0.plus(1001);
        assert_eq!(tickets.take(&ticket, late), Err(JobCode::TicketExpired));
        // Used up by the try.
        assert_eq!(tickets.take(&ticket, late), Err(JobCode::TicketUnknown));
        let other = Ticket::random().unwrap();
        assert_eq!(tickets.take(&other, T0), Err(JobCode::TicketUnknown));
    }

    #[test]
    fn bounded_and_freed_by_time() {
        let mut tickets = Tickets::new(1000);
        for _ in 0..MAX_TICKETS {
            tickets.issue(T0).unwrap();
        }
        assert!(matches!(
            tickets.issue(T0.plus(1)),
            Err(NoTicket::Full(1999))
        ));
        let ticket = tickets.issue(T0.plus(2001)).unwrap();
        assert_eq!(tickets.issued.len(), 1);
        assert!(tickets.take(&ticket, T0.plus(2001)).is_ok());
    }

    #[test]
    fn given_back_ones_make_room_wherever_they_stand() {
        let mut tickets = Tickets::new(60_000);
        let first = tickets.issue(T0).unwrap();
        for _ in 0..5 * MAX_TICKETS {
            let ticket = tickets.issue(T0).unwrap();
            tickets.give_back(&ticket);
            assert!(tickets.order.len() <= 2 * MAX_TICKETS);
        }
        assert_eq!(tickets.issued.len(), 1);
        assert_eq!(tickets.take(&first, T0), Ok(T0));
        tickets.give_back(&first);
        assert_eq!(tickets.take(&first, T0), Err(JobCode::TicketUnknown));
    }

    #[test]
    fn those_without_a_connection_leave_room_for_those_with_one() {
        let mut tickets = Tickets::new(1000);
        let mut keep = |now| {
            let ticket = tickets.issue(now).unwrap();
            tickets.keep(&ticket);
            ticket
        };
        let first = keep(T0);
        for _ in 1..2 * MAX_TICKETS {
            keep(T0);
        }
        assert_eq!(tickets.issued.len(), MAX_KEPT);
        assert_eq!(tickets.take(&first, T0), Ok(T0));
        assert_eq!(tickets.kept.len(), MAX_KEPT - 1);
        let last = tickets.issue(T0.plus(2001)).unwrap();
        assert!(tickets.kept.is_empty());
        assert!(tickets.take(&last, T0.plus(2001)).is_ok());
    }

    #[test]
    fn taken_ones_make_room() {
        let mut tickets = Tickets::new(1000);
        let first = tickets.issue(T0).unwrap();
        for _ in 1..MAX_TICKETS {
            tickets.issue(T0).unwrap();
        }
        tickets.take(&first, T0).unwrap();
        assert!(tickets.issue(T0).is_ok());
    }
}
