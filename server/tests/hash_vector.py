"""The hash chain's byte layout in another language: prints the values that app/src/wire/hash.rs is tested against."""
import hashlib, struct


def digest(*fields):
    return hashlib.sha256(b"".join(struct.pack(">I", len(field)) + field for field in fields)).digest()


def number(value):
    return struct.pack(">q", value)


GENESIS = bytes(32)
event = digest(
    b"daybook/event/1",
    number(41),  # position
    bytes.fromhex("0190f5fe7c007a008000000000000001"),  # event id
    b"account-0190f5fe-7c00-7a00-8000-0000000000aa",  # stream
    number(1),  # version
    b"account.money_deposited",  # type
    number(1),  # schema
    number(1763812800000000),  # recorded at, microseconds since 1970
    '{"amount":123450,"effective_on":"2026-11-22","description":"Příjem"}'.encode(),  # payload
    b'{"command_id":"0190f5fe-7c00-7a00-8000-0000000000cc"}',  # metadata
    GENESIS,  # hash of the stream's event before
)
print("event", event.hex())
print("log  ", digest(b"daybook/log/1", GENESIS, event).hex())
