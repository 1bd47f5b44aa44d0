//! Bytes as a message's value and key, read by the consumer and by serde_json.

use std::path::Path;
use std::sync::LazyLock;

use consumer::decode::{Class, DataError, Decoded, Decoder};
use consumer::json::{Error, Kind, Reader};
use consumer::message::{Headers, Message};
use consumer::plan::Plan;
use consumer::route;
use consumer::rows::{CellValue, Rows};
use serde_json::{Map, Value};

use crate::schema::table;

const NOW_MS: i64 = 1_800_000_000_000;

/// Every column in its plainest form, one that sets every feature in motion, and the CSV sink's.
static PLANS: LazyLock<[Plan; 3]> = LazyLock::new(|| {
    let head = "topic = \"t\"\ntable = \"k.t\"\n";
    let plain = "[columns]\nid = \"id\"\nat = { meta = \"timestamp\" }\nflag = \"o.flag\"\ncount = \"count\"\n\
        small = \"l[1]\"\nprice = \"price\"\nexact = \"exact\"\nhuge = \"huge\"\nday = \"day\"\nbytes = \"bytes\"\n\
        uuid = \"uuid\"\naddress = \"address\"\nspan = \"span\"\njson = { path = \"j\", format = \"json\" }\n\
        numbers = \"numbers\"\ntags = \"tags\"\nscores = \"scores\"\npair = \"pair\"\nvector = \"vector\"\nplace = \"o\"\n";
    let featured = "deletes = [\"row\", \"cells\"]\nmissing = \"null\"\n\
        ttl = { path = \"ttl\", unit = \"s\", default = 9 }\nwritetime = { path = \"at\", time = \"epoch_s\" }\n\
        [columns]\nid = { key = \"id\" }\nat = { key = \"at\", time = \"%Y-%m-%d %H:%M:%S\", zone = \"+02:00\" }\n\
        uuid = { uuid = [\"id\", \"o.id\"] }\ncount = { path = \"count\", default = 7 }\n\
        json = { path = \".\", format = \"json\" }\nday = { path = \"at\", time = \"epoch_s\", bucket = \"month\" }\n\
        bytes = { path = \"bytes\", format = \"hex\" }\nnumbers = { key = \".\" }\n";
    let read = |text: &str| {
        let route = route::parse(Path::new("plan.toml"), format!("{head}{text}"));
        route.unwrap_or_else(|problems| panic!("{}", route::listed(&problems)))
    };
    let of_table = |text: &str| {
        let plan = Plan::for_table(&read(text), &table("k.t"));
        plan.unwrap_or_else(|problems| panic!("{}", route::listed(&problems)))
    };
    let csv = Plan::for_csv(&read(plain)).unwrap_or_else(|problems| panic!("{}", route::listed(&problems)));
    [of_table(plain), of_table(featured), csv]
});

/// The reader takes what serde_json takes, and reads the same; the decoder makes a row or a data error of it.
///
/// # Panics
/// It does not hold.
pub fn check(bytes: &[u8]) {
    let known = known(bytes);
    let ours = read(bytes);
    assert_eq!(ours.is_ok(), skip(bytes).is_ok(), "skipped is judged like read");
    match (&known, &ours) {
        (Known::Value(value), Ok(tree)) => assert_eq!(*value, tree.value),
        (Known::Refused(_), Err(_)) | (Known::Beyond, _) => {}
        (Known::Value(_), Err(error)) => panic!("serde_json takes it, the reader does not: {error}"),
        (Known::Refused(error), Ok(_)) => panic!("the reader takes it, serde_json does not: {error}"),
    }
    for plan in &*PLANS {
        for (key, value) in
            [(b"{\"id\":\"k\",\"at\":\"2026-01-02 03:04:05\"}".as_slice(), bytes), (bytes, b"{}")]
        {
            let message = Message {
                topic: "t",
                partition: 0,
                offset: 7,
                timestamp_ms: Some(NOW_MS),
                key: Some(key),
                value: Some(value),
                headers: Headers::NONE,
            };
            let row = decode(plan, &message);
            if std::ptr::eq(plan, &PLANS[0]) && value == bytes {
                compare(row, &known, ours.as_ref().ok());
            }
        }
    }
}

/// What serde_json says.
enum Known {
    Value(Value),
    Refused(serde_json::Error),
    /// Numbers beyond a float, whose literals the reader keeps, and the 128th level of nesting, which it takes.
    Beyond,
}

fn known(bytes: &[u8]) -> Known {
    match serde_json::from_slice(bytes) {
        Ok(value) => Known::Value(value),
        Err(error) => {
            let said = error.to_string();
            let beyond = said.contains("number out of range") || said.contains("recursion limit exceeded");
            if beyond { Known::Beyond } else { Known::Refused(error) }
        }
    }
}

struct Tree {
    value: Value,
    /// A name twice in one object: serde_json keeps the last.
    has_twins: bool,
}

fn read(bytes: &[u8]) -> Result<Tree, Error> {
    let mut reader = Reader::new(bytes)?;
    let mut has_twins = false;
    let value = tree(&mut reader, &mut has_twins)?;
    reader.end()?;
    Ok(Tree { value, has_twins })
}

fn skip(bytes: &[u8]) -> Result<(), Error> {
    let mut reader = Reader::new(bytes)?;
    reader.skip()?;
    reader.end()
}

fn tree(reader: &mut Reader<'_>, has_twins: &mut bool) -> Result<Value, Error> {
    let mut scratch = String::new();
    Ok(match reader.peek()? {
        Kind::Null => reader.null().map(|()| Value::Null)?,
        Kind::Bool => reader.boolean()?.into(),
        // Beyond a float it has no value there.
        Kind::Number => serde_json::from_str(reader.number()?).unwrap_or(Value::Null),
        Kind::String => reader.string(&mut scratch)?.into(),
        Kind::Array => {
            let mut list = Vec::new();
            reader.array()?;
            while reader.element(list.is_empty())? {
                list.push(tree(reader, has_twins)?);
            }
            list.into()
        }
        Kind::Object => {
            let mut map = Map::new();
            reader.object()?;
            let mut first = true;
            while let Some(key) = reader.key(first, &mut scratch)? {
                let key = key.to_owned();
                *has_twins |= map.insert(key, tree(reader, has_twins)?).is_some();
                first = false;
            }
            map.into()
        }
    })
}

type Cells = Vec<Option<Vec<u8>>>;

fn decode(plan: &Plan, message: &Message<'_>) -> Result<Option<Cells>, DataError> {
    let mut rows = Rows::new(plan.width());
    let decoded = Decoder::default().decode(plan, message, NOW_MS, &mut rows);
    assert_eq!(rows.len(), usize::from(decoded == Ok(Decoded::Row)), "a refused row leaves nothing behind");
    let cell = |cell| if let CellValue::Bytes(bytes) = cell { Some(bytes.to_vec()) } else { None };
    match decoded {
        Ok(Decoded::Row) => Ok(Some(rows.row(0).map(cell).collect())),
        Ok(Decoded::Expired) => Ok(None),
        Err(error) => {
            assert!(!error.reason.is_empty());
            Err(error)
        }
    }
}

// The plain plan's row holds the values that serde_json reads; what is refused as JSON is none, or no object.
fn compare(row: Result<Option<Cells>, DataError>, known: &Known, tree: Option<&Tree>) {
    let value = match (row, known) {
        (_, Known::Beyond) => return,
        (Err(error), Known::Value(Value::Object(_))) => {
            return assert_ne!(error.class, Class::Json, "{error}");
        }
        // The first error counts, which may be that of a value before.
        (Err(_), _) => return,
        (Ok(_), Known::Refused(error)) => panic!("a row of what serde_json refuses: {error}"),
        (Ok(row), Known::Value(value)) => row.map(|row| (row, value)),
    };
    let (Some((row, value)), Some(Tree { has_twins: false, .. })) = (value, tree) else { return };
    let cell = |column: &str| {
        let place = PLANS[0].columns.iter().position(|known| known.name == column);
        place.and_then(|place| row[place].as_deref())
    };
    if let Value::String(id) = &value["id"] {
        assert_eq!(cell("id"), Some(id.as_bytes()));
    }
    let flag = value["o"]["flag"].as_bool();
    assert_eq!(cell("flag"), flag.map(|flag| if flag { &[1][..] } else { &[0] }));
    if let Some(count) = value["count"].as_i64() {
        assert_eq!(cell("count"), Some(&count.to_be_bytes()[..]));
    }
    if let Some(price) = value["price"].as_f64() {
        assert_eq!(cell("price"), Some(&price.to_be_bytes()[..]));
    }
    let json = cell("json").map(|json| serde_json::from_slice(json).expect("kept JSON is JSON"));
    assert_eq!(json.unwrap_or(Value::Null), value["j"]);
    for column in ["count", "price", "exact", "numbers", "tags", "day", "uuid"] {
        assert_eq!(cell(column).is_none(), value[column].is_null(), "{column}");
    }
}
