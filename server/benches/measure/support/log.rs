//! A log of plausible events, chained as the writer chains them: accounts, deposits, withdrawals, transfers.

use std::collections::HashMap;

use app::{
    domain::{
        AccountId, CommandId, Date, EventId, TransferId, UserId, account::AccountEvent as A,
        transfer::TransferEvent as T,
    },
    wire::{Actor, Envelope, Event, GENESIS, Hash, Metadata, Position, StreamId, Version, encode, event_hash},
};
use uuid::Uuid;

const ACCOUNTS: u64 = 5_000;

pub struct Log {
    position: Position,
    streams: HashMap<StreamId, (Version, Hash)>,
    random: u64,
    waiting: Vec<(StreamId, Event)>,
}

impl Log {
    pub fn new() -> Self {
        let currency = "CZK".parse().unwrap();
        let open = |number: u64| {
            let owner = UserId(uuid("owner", number / 3));
            let opened = A::AccountOpened { owner, name: "Everyday".into(), currency, overdraft_limit: 0 };
            (account(number).into(), Event::Account(opened))
        };
        let waiting = (0..ACCOUNTS).rev().map(open).collect();
        Self { position: Position(0), streams: HashMap::new(), random: 0x9e37_79b9_7f4a_7c15, waiting }
    }

    /// The next event; every tenth thing that happens is a transfer.
    pub fn next(&mut self) -> Envelope {
        if self.waiting.is_empty() {
            let (this, other) = (account(self.random() % ACCOUNTS), account(self.random() % ACCOUNTS));
            let amount = 100 + i64::try_from(self.random() % 1_000_000).unwrap();
            if self.random().is_multiple_of(10) && this != other {
                self.transfer(this, other, amount);
            } else {
                let effective_on =
                    Date::of_micros(1_700_000_000_000_000 + i64::try_from(self.position.0).unwrap() * 60_000_000);
                let description = Some("Groceries and household".into());
                let event = match self.random() % 2 {
                    0 => A::MoneyDeposited { amount, effective_on, description },
                    _ => A::MoneyWithdrawn { amount, effective_on, description },
                };
                self.waiting.push((this.into(), Event::Account(event)));
            }
        }
        let (stream, event) = self.waiting.pop().unwrap();
        self.seal(stream, &event)
    }

    fn transfer(&mut self, from: AccountId, to: AccountId, amount: i64) {
        let currency = "CZK".parse().unwrap();
        let transfer_id = TransferId(uuid("transfer", self.position.0));
        let stream: StreamId = transfer_id.into();
        self.waiting = vec![
            (stream, Event::Transfer(T::TransferCompleted {})),
            (to.into(), Event::Account(A::TransferCredited { transfer_id, from, amount })),
            (from.into(), Event::Account(A::HoldCaptured { transfer_id, to, amount })),
            (to.into(), Event::Account(A::TransferExpected { transfer_id, from, amount })),
            (from.into(), Event::Account(A::FundsHeld { transfer_id, to, amount, currency })),
            (
                stream,
                Event::Transfer(T::TransferRequested { from, to, amount, currency, description: Some("Rent".into()) }),
            ),
        ];
    }

    fn seal(&mut self, stream: StreamId, event: &Event) -> Envelope {
        let (version, previous) = self.streams.get(&stream).copied().unwrap_or((Version(0), GENESIS));
        let (event_type, schema, payload) = encode(event);
        self.position = self.position.next();
        let recorded_at = 1_795_000_000_000_000 + i64::try_from(self.position.0).unwrap() * 1000;
        // A version 7 id of that time, as clients make them.
        let millis = u64::try_from(recorded_at / 1000).unwrap();
        let bytes = *uuid("command", self.position.0).as_bytes();
        let command_id =
            CommandId(uuid::Builder::from_unix_timestamp_millis(millis, bytes[..10].try_into().unwrap()).into_uuid());
        let metadata = Metadata {
            command_id,
            actor: Actor::User(UserId(uuid("owner", 1))),
            correlation_id: command_id,
            causation_id: None,
            digest: Hash([1; 32]),
            traceparent: None,
        };
        let mut envelope = Envelope {
            position: self.position,
            event_id: EventId::derive(command_id, 0),
            stream,
            version: version.next(),
            event_type,
            schema,
            payload,
            metadata: serde_json::to_vec(&metadata).unwrap(),
            recorded_at,
            hash: GENESIS,
        };
        envelope.hash = event_hash(&envelope, &previous);
        self.streams.insert(stream, (envelope.version, envelope.hash));
        envelope
    }

    fn random(&mut self) -> u64 {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn account(number: u64) -> AccountId {
    AccountId(uuid("account", number))
}

fn uuid(kind: &str, number: u64) -> Uuid {
    app::domain::derive_uuid(kind, &[&number.to_be_bytes()])
}
