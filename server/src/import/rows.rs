//! Rows of bank transactions: each column checked, everything that is wrong named with its place.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use app::domain::{Currency, Date, format_amount, parse_amount};

use super::{
    BadRow,
    records::{Field, Records},
};

/// Longest transaction id, characters.
const ID_MAX: usize = 100;
/// Longest account, characters: it becomes part of the account's name.
const ACCOUNT_MAX: usize = 60;
/// Longest description, characters.
const DESCRIPTION_MAX: usize = 280;

/// What a row may hold.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    pub currency: Currency,
    /// Nothing takes effect later.
    pub today: Date,
    /// The balance column is wanted.
    pub balances: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Deposit,
    Withdrawal,
}

/// One transaction. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// In the file, from 1.
    pub line: u64,
    pub transaction_id: String,
    pub account: String,
    pub date: Date,
    pub kind: Kind,
    pub amount: i64,
    /// The bank's balance after this transaction.
    pub balance: Option<i64>,
    pub description: Option<String>,
}

const COLUMNS: [&str; 7] = ["transaction_id", "account", "date", "type", "amount", "balance", "description"];
const TRANSACTION_ID: usize = 0;
const ACCOUNT: usize = 1;
const DATE: usize = 2;
const TYPE: usize = 3;
const AMOUNT: usize = 4;
const BALANCE: usize = 5;
const DESCRIPTION: usize = 6;

/// The rows of a file, in order.
pub struct Rows {
    records: Records<BufReader<File>>,
    check: Check,
    /// Where each of [`COLUMNS`] stands in the file.
    places: [Option<usize>; 7],
    /// How many columns there are.
    width: usize,
}

impl Rows {
    /// Opens the file and reads its head line, in which columns may stand in any order; more columns do no harm.
    pub fn open(path: &Path, check: Check) -> io::Result<Result<Self, BadRow>> {
        let mut records = Records::new(BufReader::with_capacity(1 << 16, File::open(path)?));
        let bad = |column, name, what: String| BadRow { line: 1, column, name, what };
        let head = match records.next()? {
            None => {
                return Ok(Err(bad(1, None, format!("the file is empty; its first line is {}", COLUMNS.join(",")))));
            }
            Some(Err(row)) => return Ok(Err(row)),
            Some(Ok(head)) => head,
        };
        let mut places = [None; 7];
        for (place, name) in places.iter_mut().zip(COLUMNS) {
            let mut found = head.iter().enumerate().filter(|(_, field)| field.bytes.trim_ascii() == name.as_bytes());
            *place = found.next().map(|(index, _)| index);
            if let Some((_, twice)) = found.next() {
                return Ok(Err(bad(twice.column, Some(name), "there are two columns of this name".to_owned())));
            }
        }
        let needed = |index: usize| index != DESCRIPTION && (index != BALANCE || check.balances);
        if let Some(missing) = (0..COLUMNS.len()).find(|index| needed(*index) && places[*index].is_none()) {
            let what = "the head line has no such column".to_owned();
            return Ok(Err(bad(1, Some(COLUMNS[missing]), what)));
        }
        records.width = Some(head.len());
        Ok(Ok(Self { records, check, places, width: head.len() }))
    }

    /// The next row, good or bad; `None` at the end.
    #[allow(clippy::should_implement_trait, reason = "a file that fails to read is no item")]
    pub fn next(&mut self) -> io::Result<Option<Result<Row, BadRow>>> {
        Ok(self.records.next()?.map(|record| self.row(&record?)))
    }

    fn row(&self, fields: &[Field]) -> Result<Row, BadRow> {
        // A record has at least one field.
        let (first, last) = (&fields[0], &fields[fields.len() - 1]);
        if fields.len() != self.width {
            let what = format!("{} columns instead of {}", fields.len(), self.width);
            return Err(BadRow { line: last.line, column: last.column, name: None, what });
        }
        let text = |index: usize| -> Result<(&str, Cell<'_>), BadRow> {
            let field = self.places[index].map_or(first, |place| &fields[place]);
            let cell = Cell { field, name: COLUMNS[index] };
            match str::from_utf8(&field.bytes) {
                Ok(text) => Ok((text.trim(), cell)),
                Err(error) => Err(cell.broken_text(error)),
            }
        };
        let short = |index, max| -> Result<String, BadRow> {
            let (text, cell) = text(index)?;
            match text.chars().count() {
                0 => Err(cell.bad("it is empty")),
                length if length > max => Err(cell.bad(format!("longer than {max} characters"))),
                _ => Ok(text.to_owned()),
            }
        };

        let transaction_id = short(TRANSACTION_ID, ID_MAX)?;
        let account = short(ACCOUNT, ACCOUNT_MAX)?;
        let (date, cell) = text(DATE)?;
        let date: Date = date.parse().map_err(|error| cell.bad(error))?;
        if date > self.check.today {
            return Err(cell.bad(format!("{date} is in the future (today is {})", self.check.today)));
        }
        let kind = match text(TYPE)? {
            ("deposit", _) => Kind::Deposit,
            ("withdrawal", _) => Kind::Withdrawal,
            (other, cell) => return Err(cell.bad(format!("neither deposit nor withdrawal: {other:?}"))),
        };
        let (amount, cell) = text(AMOUNT)?;
        let amount = parse_amount(amount, self.check.currency).map_err(|error| cell.bad(error))?;
        if amount == 0 {
            return Err(cell.bad("the amount must be more than zero"));
        }
        let balance = if self.check.balances { Some(self.balance(text(BALANCE)?)?) } else { None };
        let description = match self.places[DESCRIPTION] {
            None => None,
            Some(_) => match text(DESCRIPTION)? {
                ("", _) => None,
                (text, cell) if text.chars().count() > DESCRIPTION_MAX => {
                    return Err(cell.bad(format!("longer than {DESCRIPTION_MAX} characters")));
                }
                (text, _) => Some(text.to_owned()),
            },
        };
        Ok(Row { line: first.line, transaction_id, account, date, kind, amount, balance, description })
    }

    /// A balance, unlike an amount, may be below zero.
    fn balance(&self, (text, cell): (&str, Cell<'_>)) -> Result<i64, BadRow> {
        let (sign, amount) = text.strip_prefix('-').map_or((1, text), |amount| (-1, amount));
        parse_amount(amount, self.check.currency).map(|minor| sign * minor).map_err(|error| cell.bad(error))
    }
}

struct Cell<'a> {
    field: &'a Field,
    name: &'static str,
}

impl Cell<'_> {
    fn bad(&self, what: impl ToString) -> BadRow {
        BadRow { line: self.field.line, column: self.field.column, name: Some(self.name), what: what.to_string() }
    }

    fn broken_text(&self, error: std::str::Utf8Error) -> BadRow {
        let good = String::from_utf8_lossy(&self.field.bytes[..error.valid_up_to()]).chars().count() as u64;
        let bad = self.bad("broken text: it is not UTF-8");
        BadRow { column: bad.column + good, ..bad }
    }
}

/// What a first reading found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Good ones.
    pub rows: u64,
    pub bad: u64,
    /// The first bad ones.
    pub first_bad: Vec<BadRow>,
}

/// Reads the whole file and changes nothing. `seen` is told of the rows so far, now and then.
pub fn check(path: &Path, check: Check, keep: usize, seen: impl Fn(u64)) -> io::Result<Checked> {
    let mut checked = Checked::default();
    let bad = |checked: &mut Checked, row| {
        checked.bad += 1;
        if checked.first_bad.len() < keep {
            checked.first_bad.push(row);
        }
    };
    match Rows::open(path, check)? {
        Err(row) => bad(&mut checked, row),
        Ok(mut rows) => {
            while let Some(row) = rows.next()? {
                match row {
                    Ok(_) => checked.rows += 1,
                    Err(row) => bad(&mut checked, row),
                }
                if (checked.rows + checked.bad).is_multiple_of(10_000) {
                    seen(checked.rows + checked.bad);
                }
            }
        }
    }
    Ok(checked)
}

/// `1234.50 CZK`, for messages.
pub(super) fn money(minor: i64, currency: Currency) -> String {
    format!("{} {currency}", format_amount(minor, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], balances: bool) -> Checked {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let today = Date::new(2026, 11, 22).unwrap();
        check(file.path(), Check { currency: "CZK".parse().unwrap(), today, balances }, 20, |_| {}).unwrap()
    }

    const HEAD: &str = "transaction_id,account,date,type,amount,balance,description\n";

    fn complaint(line: &str) -> String {
        let checked = read(format!("{HEAD}{line}\n").as_bytes(), true);
        assert_eq!((checked.rows, checked.bad), (0, 1), "{line}");
        checked.first_bad[0].to_string()
    }

    #[test]
    fn good_rows_are_counted() {
        let checked = read(
            format!("{HEAD}1,a,2026-11-22,deposit,1.5,-1.50,\n2,a,1993-01-01,withdrawal,3,0,\"x, y\"\n").as_bytes(),
            true,
        );
        assert_eq!(checked, Checked { rows: 2, bad: 0, first_bad: vec![] });
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_column() {
        for (line, expected) in [
            ("1,a,2026-11-22,deposit,1.5", "line 2, column 24: 5 columns instead of 7"),
            (",a,2026-11-22,deposit,1.5,0,", "line 2, column 1 (transaction_id): it is empty"),
            ("1, ,2026-11-22,deposit,1.5,0,", "line 2, column 3 (account): it is empty"),
            ("1,a,22.11.2026,deposit,1.5,0,", "line 2, column 5 (date): not a date (like 2026-11-22): \"22.11.2026\""),
            (
                "1,a,2026-11-23,deposit,1.5,0,",
                "line 2, column 5 (date): 2026-11-23 is in the future (today is 2026-11-22)",
            ),
            ("1,a,2026-11-22,gift,1.5,0,", "line 2, column 16 (type): neither deposit nor withdrawal: \"gift\""),
            ("1,a,2026-11-22,deposit,-1.5,0,", "line 2, column 24 (amount): an amount has no sign"),
            ("1,a,2026-11-22,deposit,1.555,0,", "line 2, column 24 (amount): too many decimals: CZK has 2"),
            ("1,a,2026-11-22,deposit,0.00,0,", "line 2, column 24 (amount): the amount must be more than zero"),
            ("1,a,2026-11-22,deposit,1.5,--1,", "line 2, column 28 (balance): an amount has no sign"),
            ("1,a,2026-11-22,deposit,1.5,0,\"x", "line 2, column 30: this quote is not closed"),
        ] {
            assert_eq!(complaint(line), expected);
        }
        let broken = [HEAD.as_bytes(), b"1,a,2026-11-22,deposit,1.5,0,\xc5\x99ab\xffc\n"].concat();
        let complaints = read(&broken, true).first_bad;
        assert_eq!(complaints[0].to_string(), "line 2, column 33 (description): broken text: it is not UTF-8");
    }

    #[test]
    fn the_head_line_says_what_is_where() {
        let text = b"amount,type,date,account,transaction_id,more\n1,deposit,2026-11-22,a,1,x\n";
        assert_eq!(read(text, false).rows, 1);
        let complaint = |text: &[u8]| read(text, true).first_bad[0].to_string();
        assert_eq!(complaint(text), "line 1, column 1 (balance): the head line has no such column");
        assert_eq!(complaint(b"date,date,account\n"), "line 1, column 6 (date): there are two columns of this name");
        assert!(complaint(b"").starts_with("line 1, column 1: the file is empty"));
    }
}
