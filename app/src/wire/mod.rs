//! What crosses a boundary: the event contract, commands as people send them, views, live messages.

mod command;
mod contract;
mod envelope;
mod hash;
mod json;
mod live;
mod read;
#[cfg(feature = "ssr")]
mod schema;
mod views;

pub use command::{
    ChangeOverdraftLimit, CloseAccount, Command, DepositMoney, FreezeAccount, OpenAccount, Receipt, ReceiptEvent,
    RequestTransfer, ReverseEntry, SkipEvent, UnfreezeAccount, WithdrawMoney,
};
pub use contract::{DecodeError, Event, ProjectionEvent, UPCASTERS, Upcaster, decode, decode_with, encode, read_event};
pub use envelope::{Actor, Envelope, Hash, Metadata, Position, StreamId, StreamKind, Version};
pub use hash::{GENESIS, event_hash, log_hash};
pub(crate) use json::from_json;
pub use json::{FromJson, Json};
pub use live::{ArrivedRows, LiveQuery, Rows};
pub(crate) use read::named;
pub use views::*;
