//! CSV as RFC 4180 has it, read record by record in bounded memory, with the place of each field.
//!
//! Stricter than most readers: a quote that is never closed is an error at the place where it opens, and costs that
//! one line, not the rest of the file.

use std::{
    collections::VecDeque,
    io::{self, BufRead, Read as _},
};

use super::BadRow;

/// Longest record, bytes: a row of bank transactions is far shorter.
const RECORD_MAX: usize = 8 * 1024;

/// One field, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub line: u64,
    pub column: u64,
    pub bytes: Vec<u8>,
}

/// The records of a file, blank lines left out.
pub(super) struct Records<R> {
    input: R,
    /// Lines that were read ahead and belong to later records.
    ahead: VecDeque<Vec<u8>>,
    /// Of the next line.
    line: u64,
    /// How many fields a record has, once that is known: tells a quote that was not closed from text of many lines.
    pub(super) width: Option<usize>,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, ahead: VecDeque::new(), line: 1, width: None }
    }

    /// The next record; `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Result<Vec<Field>, BadRow>>> {
        let mut lines = loop {
            let Some(mut line) = self.read_line()? else { return Ok(None) };
            if self.line == 1 && line.starts_with(b"\xef\xbb\xbf") {
                line.drain(..3);
            }
            if !content(&line).is_empty() {
                break vec![line];
            }
            self.line += 1;
        };
        let line = self.line;
        let bad = |column, what: &str| BadRow { line, column, name: None, what: what.to_owned() };
        let not_closed = |column| bad(column, "this quote is not closed");
        let result = loop {
            let record = split(&lines.concat(), line);
            let first_open = match split(&lines[0], line) {
                Err(Trouble::Open { column }) => Some(column),
                Ok(_) | Err(Trouble::Bad(_)) => None,
            };
            let too_long = lines.iter().map(Vec::len).sum::<usize>() > RECORD_MAX;
            match (record, first_open) {
                (_, None) if too_long => break Err(bad(1, "the row is longer than 8 KiB")),
                (_, Some(column)) if too_long => break Err(not_closed(column)),
                (Err(Trouble::Open { column }), _) => match self.read_line()? {
                    Some(line) => lines.push(line),
                    None => break Err(not_closed(column)),
                },
                // A quote on a later line ended what it was not meant to end.
                (Err(Trouble::Bad(_)), Some(column)) => break Err(not_closed(column)),
                (Ok(fields), Some(column)) if self.width.is_some_and(|width| width != fields.len()) => {
                    break Err(not_closed(column));
                }
                (Err(Trouble::Bad(row)), None) => break Err(row),
                (Ok(fields), _) => break Ok(fields),
            }
        };
        if result.is_ok() {
            self.line += lines.len() as u64;
        } else {
            // The trouble may have swallowed good rows: only its first line is lost.
            self.line += 1;
            lines.drain(1..).rev().for_each(|line| self.ahead.push_front(line));
        }
        Ok(Some(result))
    }

    /// One line with its end; one that is far too long is cut, so that it is refused without being held.
    fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        if let Some(line) = self.ahead.pop_front() {
            return Ok(Some(line));
        }
        let mut line = Vec::new();
        let limit = RECORD_MAX as u64 + 1;
        if self.input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.len() > RECORD_MAX && !line.ends_with(b"\n") {
            self.input.skip_until(b'\n')?;
        }
        Ok(Some(line))
    }
}

/// A line without its end.
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

enum Trouble {
    /// A quote opened here and did not close yet.
    Open {
        column: u64,
    },
    Bad(BadRow),
}

/// Splits a record that begins at `line` into its fields.
fn split(record: &[u8], line: u64) -> Result<Vec<Field>, Trouble> {
    let mut at = Place { line, column: 1 };
    let mut rest = content(record);
    let mut fields = Vec::new();
    loop {
        let begin = at;
        let mut bytes = Vec::new();
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            at.column += 1;
            rest = quoted;
            loop {
                let Some(quote) = rest.iter().position(|byte| *byte == b'"') else {
                    return Err(Trouble::Open { column: begin.column });
                };
                bytes.extend_from_slice(&rest[..quote]);
                at.pass(&rest[..=quote]);
                rest = &rest[quote + 1..];
                let Some(more) = rest.strip_prefix(b"\"") else { break };
                bytes.push(b'"');
                at.column += 1;
                rest = more;
            }
            if !rest.is_empty() && !rest.starts_with(b",") {
                let what = "text after a closing quote (a quote inside quotes is written twice)".to_owned();
                return Err(Trouble::Bad(BadRow { line: at.line, column: at.column, name: None, what }));
            }
        } else {
            let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
            bytes.extend_from_slice(&rest[..end]);
            at.pass(&rest[..end]);
            rest = &rest[end..];
        }
        fields.push(Field { line: begin.line, column: begin.column, bytes });
        let Some(more) = rest.strip_prefix(b",") else { return Ok(fields) };
        at.column += 1;
        rest = more;
    }
}

#[derive(Clone, Copy)]
struct Place {
    line: u64,
    column: u64,
}

impl Place {
    fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => (self.line, self.column) = (self.line + 1, 1),
                // Bytes that go on with a character of UTF-8 are no column of their own.
                0x80..=0xbf => {}
                _ => self.column += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<Result<Vec<String>, String>> {
        read_wide(text, None)
    }

    fn read_wide(text: &[u8], width: Option<usize>) -> Vec<Result<Vec<String>, String>> {
        let mut records = Records::new(text);
        records.width = width;
        std::iter::from_fn(|| records.next().unwrap())
            .map(|record| match record {
                Ok(fields) => Ok(fields.into_iter().map(|field| String::from_utf8(field.bytes).unwrap()).collect()),
                Err(bad) => Err(bad.to_string()),
            })
            .collect()
    }

    #[allow(clippy::unnecessary_wraps, reason = "compared with what reading gives")]
    fn fields(fields: &[&str]) -> Result<Vec<String>, String> {
        Ok(fields.iter().map(|field| (*field).to_owned()).collect())
    }

    fn bad(text: &str) -> Result<Vec<String>, String> {
        Err(text.to_owned())
    }

    #[test]
    fn plain_and_quoted_fields_read() {
        let text = b"\xef\xbb\xbfa,b,c\r\n1,\"x, \"\"y\"\"\",\n\n\"two\nlines\",,3\"4";
        let expected = [fields(&["a", "b", "c"]), fields(&["1", "x, \"y\"", ""]), fields(&["two\nlines", "", "3\"4"])];
        assert_eq!(read(text), expected);
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n\r\n"), []);
    }

    #[test]
    fn fields_know_where_they_begin() {
        let mut records = Records::new("x\n\"ří\nz\",é,w".as_bytes());
        records.next().unwrap();
        let places: Vec<_> =
            records.next().unwrap().unwrap().unwrap().iter().map(|field| (field.line, field.column)).collect();
        assert_eq!(places, [(2, 1), (3, 4), (3, 6)]);
    }

    #[test]
    fn an_unclosed_quote_costs_its_own_line_only() {
        let text = b"1,\"open\n2,fine\n3,\"open again";
        let not_closed = |line: u64| bad(&format!("line {line}, column 3: this quote is not closed"));
        assert_eq!(read(text), [not_closed(1), fields(&["2", "fine"]), not_closed(3)]);
        let closed_by_chance = b"1,\"open\n2,fine\n3,\",\n";
        assert_eq!(read_wide(closed_by_chance, Some(2))[..2], [not_closed(1), fields(&["2", "fine"])]);
        let mut long = b"1,\"open\n".to_vec();
        long.extend(b"2,fine\n".repeat(5_000));
        let records = read(&long);
        assert_eq!(records.len(), 5_001);
        assert_eq!(records[0], not_closed(1));
        assert!(records[1..].iter().all(|record| *record == fields(&["2", "fine"])));
    }

    #[test]
    fn text_after_a_quote_and_endless_lines_are_refused() {
        let after = "text after a closing quote (a quote inside quotes is written twice)";
        assert_eq!(read(b"1,\"a\"b\n2"), [bad(&format!("line 1, column 6: {after}")), fields(&["2"])]);
        let mut long = vec![b'x'; 3 * RECORD_MAX];
        long.extend(b"\n2");
        assert_eq!(read(&long), [bad("line 1, column 1: the row is longer than 8 KiB"), fields(&["2"])]);
    }
}
