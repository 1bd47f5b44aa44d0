//! Field paths: `location.city`, `conditions[0].main`, `"odd.name".x` -> steps into a JSON value.
//!
//! Inside a quoted name two quotes stand for one, as in CQL.

use std::fmt;

/// One step into a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// A key of an object.
    Key(String),
    /// An element of an array, from 0.
    Index(usize),
}

/// A sequence of steps. Texts have at least one; without any it is the whole value, which a route writes as `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Step>);

/// Why a text is no path, and where in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?}, character {at}: {what}")]
pub struct PathError {
    path: String,
    at: usize,
    what: &'static str,
}

impl std::str::FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let error = |rest: &str, what| PathError {
            path: text.to_owned(),
            at: text[..text.len() - rest.len()].chars().count() + 1,
            what,
        };
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            let (key, after) = match rest.strip_prefix('"') {
                Some(quoted) => unquoted(quoted).ok_or_else(|| error(rest, "unterminated quoted name"))?,
                None => {
                    let (key, after) = rest.split_at(rest.find(['.', '[', '"']).unwrap_or(rest.len()));
                    if key.is_empty() {
                        return Err(error(rest, "expected a field name"));
                    }
                    (key.to_owned(), after)
                }
            };
            steps.push(Step::Key(key));
            rest = after;
            while let Some(inside) = rest.strip_prefix('[') {
                let end = inside.find(']').ok_or_else(|| error(rest, "unterminated [index]"))?;
                let index =
                    inside[..end].parse().map_err(|_| error(inside, "expected an index such as [0]"))?;
                steps.push(Step::Index(index));
                rest = &inside[end + 1..];
            }
            if rest.is_empty() {
                return Ok(Self(steps));
            }
            rest = rest.strip_prefix('.').ok_or_else(|| error(rest, "expected . or [ or the end"))?;
        }
    }
}

// The name up to its closing quote, and what follows.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => rest = more,
            None => return Some((name, after)),
        }
        name.push('"');
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    let plain = !key.is_empty() && !key.contains(['.', '[', '"']);
                    if plain { f.write_str(key)? } else { write!(f, "\"{}\"", key.replace('"', "\"\""))? }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_reach_nested_fields_elements_and_odd_names() {
        let path: Path = r#"a."b.c"[2][0].d"#.parse().unwrap();
        let key = |name: &str| Step::Key(name.to_owned());
        assert_eq!(path.0, [key("a"), key("b.c"), Step::Index(2), Step::Index(0), key("d")]);
        assert_eq!(path.to_string(), r#"a."b.c"[2][0].d"#);
        let path: Path = r#""a ""quoted"" name".x"#.parse().unwrap();
        assert_eq!(path.0, [key(r#"a "quoted" name"#), key("x")]);
        assert_eq!(path.to_string(), r#""a ""quoted"" name".x"#);
    }

    #[test]
    fn broken_paths_say_where() {
        for (text, at) in [
            ("", 1),
            ("a.", 3),
            ("a..b", 3),
            ("a[x]", 3),
            ("a[0", 2),
            ("a[0]b", 5),
            ("\"a", 1),
            ("\"a\"\"", 1),
        ] {
            assert_eq!(text.parse::<Path>().unwrap_err().at, at, "{text:?}");
        }
    }
}
