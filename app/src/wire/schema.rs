//! How the domain's own types look in OpenAPI.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

use crate::domain::{
    AccountId, CommandId, Currency, Date, EventId, TransferId, UserId,
    account::{DeclineReason, Status},
};

use super::{Actor, Hash, Position, StreamId, Version};

macro_rules! schema {
    ($($name:ident: $kind:ident $format:expr, $example:expr;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(SchemaType::new(Type::$kind))
                    .format($format)
                    .examples([serde_json::json!($example)])
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )*};
}

const UUID: Option<SchemaFormat> = Some(SchemaFormat::KnownFormat(KnownFormat::Uuid));
const DATE: Option<SchemaFormat> = Some(SchemaFormat::KnownFormat(KnownFormat::Date));
const INT64: Option<SchemaFormat> = Some(SchemaFormat::KnownFormat(KnownFormat::Int64));
const EXAMPLE: &str = "0190f5fe-7c00-7a00-8000-000000000001";

schema! {
    AccountId: String UUID, EXAMPLE;
    TransferId: String UUID, EXAMPLE;
    UserId: String UUID, EXAMPLE;
    CommandId: String UUID, EXAMPLE;
    EventId: String UUID, EXAMPLE;
    Date: String DATE, "2026-11-22";
    Currency: String None, "CZK";
    StreamId: String None, "account-0190f5fe-7c00-7a00-8000-000000000001";
    Actor: String None, "user-0190f5fe-7c00-7a00-8000-000000000001";
    Hash: String None, "64 hexadecimal digits";
    Position: Integer INT64, 40;
    Version: Integer INT64, 3;
}

macro_rules! names {
    ($($name:ident: $($value:ident)*;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                // Each name is taken from the value itself, so that a renamed one cannot be described wrongly.
                let names = [$(serde_json::to_value($name::$value).unwrap_or_default()),*];
                ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(names)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )*};
}

names! {
    Status: Absent Open Frozen Closed;
    DeclineReason: AccountNotFound AccountFrozen AccountClosed CurrencyMismatch InsufficientFunds BalanceTooLarge Unavailable;
}
