//! From the text of a search to what it means.

use super::{Comparison, Holds, Search, Wanted};

/// Deeper than anybody means it.
const DEEPEST: usize = 32;

type Fields<'a> = &'a [(&'static str, Holds)];

pub(super) fn parse(
    query: &str,
    fields: Fields<'_>,
    teams: &dyn Fn(&str) -> Vec<String>,
) -> Result<Search, String> {
    let mut parser = Parser {
        rest: query.trim_start(),
        fields,
        teams,
        depth: 0,
    };
    if parser.rest.is_empty() {
        return Ok(Search::Everything);
    }
    let search = parser.either()?;
    if parser.rest.is_empty() {
        Ok(search)
    } else {
        let rest = parser.rest;
        Err(format!("AND, OR or the end is expected before [{rest}]"))
    }
}

struct Parser<'a> {
    rest: &'a str,
    fields: Fields<'a>,
    teams: &'a dyn Fn(&str) -> Vec<String>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn either(&mut self) -> Result<Search, String> {
        self.joined("OR", Self::both, Search::Or)
    }

    fn both(&mut self) -> Result<Search, String> {
        self.joined("AND", Self::single, Search::And)
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Search, String>,
        join: fn(Vec<Search>) -> Search,
    ) -> Result<Search, String> {
        let first = part(self)?;
        if !self.word(word) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self)?];
        while self.word(word) {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn single(&mut self) -> Result<Search, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("the query is nested too deeply".to_owned());
        }
        let search = if self.word("NOT") {
            Search::Not(Box::new(self.single()?))
        } else if self.symbol("(") {
            let search = self.either()?;
            self.closed()?;
            search
        } else {
            self.term()?
        };
        self.depth -= 1;
        Ok(search)
    }

    /// A field, an operator and what the field has to be; or words alone, which
    /// are looked for in the message.
    fn term(&mut self) -> Result<Search, String> {
        if self.rest.starts_with('"') {
            return Ok(Search::Is("message", Wanted::Text(vec![self.quoted()?])));
        }
        let name = self.until(|next| next.is_whitespace() || "()\":=<>".contains(next));
        if name.is_empty() {
            return Err(format!("a field is expected at [{}]", self.rest));
        }
        let Some(comparison) = self.comparison() else {
            return Ok(Search::Is(
                "message",
                Wanted::Text(vec![name.to_lowercase()]),
            ));
        };
        let known = self.fields.iter().find(|(field, _)| *field == name);
        let &(field, holds) = known.ok_or_else(|| format!("[{name}] is not a field"))?;
        if !matches!(holds, Holds::Number) && comparison != Comparison::Equal {
            return Err(format!("[{field}] has no order to compare by"));
        }
        if self.symbol("(") {
            let values = self.values(field, holds, comparison)?;
            self.closed()?;
            return Ok(values);
        }
        self.value(field, holds, comparison)
    }

    /// `(open OR closed)`, after a field.
    fn values(
        &mut self,
        field: &'static str,
        holds: Holds,
        comparison: Comparison,
    ) -> Result<Search, String> {
        let mut any = Vec::new();
        loop {
            let mut all = vec![self.value(field, holds, comparison)?];
            while self.word("AND") {
                all.push(self.value(field, holds, comparison)?);
            }
            any.push(Search::And(all));
            if !self.word("OR") {
                return Ok(Search::Or(any));
            }
        }
    }

    fn value(
        &mut self,
        field: &'static str,
        holds: Holds,
        comparison: Comparison,
    ) -> Result<Search, String> {
        let text = if self.rest.starts_with('"') {
            self.quoted()?
        } else {
            self.until(|next| next.is_whitespace() || "()\"".contains(next))
                .to_owned()
        };
        if text.is_empty() {
            return Err(format!("[{field}] is compared with nothing"));
        }
        let wanted = match holds {
            Holds::Number => {
                let number = text.parse();
                let number = number.map_err(|_| format!("[{field}] must be a number"))?;
                Wanted::Number(comparison, number)
            }
            Holds::Flag => Wanted::Flag(match text.as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(format!("[{field}] must be true or false")),
            }),
            Holds::Text => Wanted::Text(vec![text.to_lowercase()]),
            Holds::Teams => {
                let mut wanted = vec![text.to_lowercase()];
                let named = (self.teams)(&text);
                wanted.extend(named.iter().map(|id| id.to_lowercase()));
                Wanted::Text(wanted)
            }
        };
        Ok(Search::Is(field, wanted))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            (":", Comparison::Equal),
            ("=", Comparison::Equal),
        ]
        .into_iter()
        .find_map(|(symbol, comparison)| self.symbol(symbol).then_some(comparison))
    }

    /// A text between quotes, in which a backslash makes any character itself.
    fn quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((place, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = self.rest[place + 1..].trim_start();
                    return Ok(text.to_lowercase());
                }
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                _ => text.push(character),
            }
        }
        Err("a quote is not closed".to_owned())
    }

    fn until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(stop).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        text
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let rest = self.rest.strip_prefix(symbol);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    /// Takes a word of the language, which stands by itself and in capitals.
    fn word(&mut self, word: &str) -> bool {
        let rest = self
            .rest
            .strip_prefix(word)
            .filter(|rest| rest.is_empty() || rest.starts_with([' ', '(', '\t']));
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    fn closed(&mut self) -> Result<(), String> {
        if self.symbol(")") {
            Ok(())
        } else {
            Err("a parenthesis is not closed".to_owned())
        }
    }
}
