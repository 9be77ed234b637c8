//! A small reader of JSON, for the browser: it reads what serde writes on the server, in a fraction of the code.
//!
//! A text is checked as a whole and then looked into: a [`Json`] is a piece of that text, and a field is found by walking
//! over it. Nothing is copied but strings; integers are exact. Unknown fields are passed over; a missing field reads like
//! `null`. Field names are compared as they are written: serde never escapes ours.
//!
//! That both read the same is proved by `app/tests/domain/reader.rs`.

/// One value: its text, which has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

/// What the browser reads.
pub trait FromJson: Sized {
    /// `None`: it is something else.
    fn from_json(json: Json<'_>) -> Option<Self>;
}

/// Reads types field by field. Fields behind a `;` are not sent and begin as their default.
macro_rules! from_json {
    ($($name:ident { $($field:ident),* $(,)? $(; $($kept:ident),*)? })*) => {$(
        impl $crate::wire::FromJson for $name {
            #[allow(unused_variables)]
            fn from_json(json: $crate::wire::Json<'_>) -> Option<Self> {
                Some(Self { $($field: json.field(stringify!($field))?,)* $($($kept: Default::default(),)*)? })
            }
        }
    )*};
}
pub(crate) use from_json;

/// Values nested deeper than this are not read: nothing of ours comes near.
const DEEPEST: usize = 64;

impl<'a> Json<'a> {
    /// `None`: the text is not one JSON value.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut scan = Scan { text, at: 0 };
        scan.space();
        let value = scan.value(DEEPEST)?;
        scan.space();
        (scan.at == text.len()).then_some(value)
    }

    /// As it was written.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// The field of an object.
    pub fn get(self, name: &str) -> Option<Self> {
        let mut scan = Scan { text: self.0, at: 0 };
        let mut more = scan.begin(b'{', b'}')?;
        while more {
            let key = scan.key()?;
            let value = scan.value(DEEPEST)?;
            if key == name {
                return Some(value);
            }
            more = scan.more(b'}')?;
        }
        None
    }

    /// The field of an object, as a `T`.
    pub fn field<T: FromJson>(self, name: &str) -> Option<T> {
        T::from_json(self.get(name).unwrap_or(Json("null")))
    }

    /// The items of an array.
    pub fn items(self) -> Option<Vec<Self>> {
        let mut scan = Scan { text: self.0, at: 0 };
        let mut more = scan.begin(b'[', b']')?;
        let mut items = Vec::new();
        while more {
            items.push(scan.value(DEEPEST)?);
            more = scan.more(b']')?;
        }
        Some(items)
    }

    /// A string's content.
    pub fn text(self) -> Option<String> {
        let mut rest = self.0.strip_prefix('"')?.strip_suffix('"')?;
        let mut text = String::with_capacity(rest.len());
        while let Some((plain, escape)) = rest.split_once('\\') {
            text.push_str(plain);
            let (character, after) = unescape(escape)?;
            text.push(character);
            rest = after;
        }
        text.push_str(rest);
        Some(text)
    }
}

/// The character behind a backslash, and what follows it.
fn unescape(escape: &str) -> Option<(char, &str)> {
    let character = match escape.as_bytes().first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let (first, after) = code_unit(escape)?;
            if !(0xD800..0xE000).contains(&first) {
                return Some((char::from_u32(first)?, after));
            }
            // The first of a surrogate pair.
            let (second, after) = code_unit(after.strip_prefix('\\')?)?;
            let pair = (0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(&second);
            return pair
                .then(|| char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)))
                .flatten()
                .map(|character| (character, after));
        }
        &other => char::from(other),
    };
    Some((character, escape.get(1..)?))
}

/// Of `u00e9…`: the number, and what follows it.
fn code_unit(escape: &str) -> Option<(u32, &str)> {
    let (digits, after) = escape.strip_prefix('u')?.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, after))
}

/// Walks over a text and checks it.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Enters an object or an array. Gives whether something is in it.
    fn begin(&mut self, open: u8, close: u8) -> Option<bool> {
        self.eat(open).then(|| {
            self.space();
            !self.eat(close)
        })
    }

    /// Goes on to the next item, or leaves. Gives whether there is one.
    fn more(&mut self, close: u8) -> Option<bool> {
        self.space();
        if self.eat(close) {
            return Some(false);
        }
        let more = self.eat(b',');
        self.space();
        more.then_some(true)
    }

    /// The name of a field, up to its value.
    fn key(&mut self) -> Option<&'a str> {
        let from = self.at + 1;
        self.string()?;
        let key = self.text.get(from..self.at - 1)?;
        self.space();
        let colon = self.eat(b':');
        self.space();
        colon.then_some(key)
    }

    fn value(&mut self, depth: usize) -> Option<Json<'a>> {
        let from = self.at;
        match self.peek()? {
            b'"' => self.string()?,
            open @ (b'{' | b'[') => {
                // In ASCII, each bracket closes with the character after the next.
                let close = open + 2;
                let mut more = self.begin(open, close)?;
                while more {
                    if open == b'{' {
                        self.key()?;
                    }
                    self.value(depth.checked_sub(1)?)?;
                    more = self.more(close)?;
                }
            }
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.number()?,
        }
        Some(Json(self.text.get(from..self.at)?))
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let there = self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        there.then_some(())
    }

    fn string(&mut self) -> Option<()> {
        if !self.eat(b'"') {
            return None;
        }
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => {
                    let escape = self.peek()?;
                    self.at += 1;
                    match escape {
                        b'u' => {
                            let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        _ => return None,
                    }
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(json: Json<'_>) -> Option<Self> {
        if json.0 == "null" { Some(None) } else { T::from_json(json).map(Some) }
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(json: Json<'_>) -> Option<Self> {
        json.items()?.into_iter().map(T::from_json).collect()
    }
}

impl<A: FromJson, B: FromJson> FromJson for (A, B) {
    fn from_json(json: Json<'_>) -> Option<Self> {
        let [a, b] = json.items()?.try_into().ok()?;
        Some((A::from_json(a)?, B::from_json(b)?))
    }
}

impl<A: FromJson, B: FromJson, C: FromJson> FromJson for (A, B, C) {
    fn from_json(json: Json<'_>) -> Option<Self> {
        let [a, b, c] = json.items()?.try_into().ok()?;
        Some((A::from_json(a)?, B::from_json(b)?, C::from_json(c)?))
    }
}

impl FromJson for String {
    fn from_json(json: Json<'_>) -> Option<Self> {
        json.text()
    }
}

impl FromJson for bool {
    fn from_json(json: Json<'_>) -> Option<Self> {
        json.0.parse().ok()
    }
}

impl FromJson for char {
    fn from_json(json: Json<'_>) -> Option<Self> {
        json.text()?.parse().ok()
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl FromJson for $integer {
            fn from_json(json: Json<'_>) -> Option<Self> {
                // The text is a JSON number, so it has no plus sign; a minus zero is a fraction to serde, but not in 128 bits.
                json.0.parse().ok().filter(|_| json.0 != "-0" || size_of::<$integer>() == size_of::<i128>())
            }
        }
    )*};
}
integers!(i128 i64 u64 u32 usize);
