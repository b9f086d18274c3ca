//! Everything that operators stand between.

use jaq_core::load::lex::{StrPart, Tok, Token};
use jaq_core::load::parse::Term;
use jaq_core::path::{Opt, Part, Path};

use super::{Parsed, Parser};

type Tree<'s> = Term<&'s str>;

/// Words that are part of the grammar and so cannot be called.
const RESERVED: [&str; 14] = [
    "and", "as", "catch", "def", "elif", "else", "end", "foreach", "if", "label", "or", "reduce",
    "then", "try",
];

fn text(text: &str) -> Tree<'_> {
    Term::Str(None, vec![StrPart::Str(text)])
}

impl<'s, 't> Parser<'s, 't> {
    /// The next token, if it is something in brackets of this kind.
    pub(super) fn block(&mut self, open: char) -> Option<&'t Token<&'s str>> {
        let token = self.peek()?;
        let matches = matches!(token.1, Tok::Block(_)) && token.0.starts_with(open);
        matches.then(|| {
            self.at += 1;
            token
        })
    }

    fn string(&mut self) -> Parsed<Option<Vec<StrPart<&'s str, Tree<'s>>>>> {
        let Some(Token(_, Tok::Str(parts))) = self.peek() else {
            return Ok(None);
        };
        self.at += 1;
        let depth = self.depth;
        let parts = parts
            .iter()
            .map(|part| {
                // Each part is a level of the tree.
                self.descend()?;
                Ok(match part {
                    StrPart::Str(text) => StrPart::Str(*text),
                    StrPart::Char(character) => StrPart::Char(*character),
                    StrPart::Term(block) => StrPart::Term(self.whole(block)?),
                })
            })
            .collect::<Parsed<Vec<_>>>();
        self.depth = depth;
        parts.map(Some)
    }

    /// The expression that is all there is in these brackets.
    fn whole(&self, block: &'t Token<&'s str>) -> Parsed<Tree<'s>> {
        let mut inner = self.inside(block);
        let term = inner.pipe()?;
        inner.end()?;
        Ok(term)
    }

    /// A term with what follows it: `.a`, `[0]`, `?`.
    pub(super) fn postfix(&mut self) -> Parsed<Tree<'s>> {
        let depth = self.depth;
        self.descend()?;
        let term = self.atom().and_then(|term| self.suffixes(term));
        self.depth = depth;
        term
    }

    fn suffixes(&mut self, mut term: Tree<'s>) -> Parsed<Tree<'s>> {
        let mut path: Vec<(Part<Tree<'s>>, Opt)> = Vec::new();
        loop {
            if self.take("?") {
                match path.last_mut() {
                    Some((_, optional)) => *optional = Opt::Optional,
                    None => term = Term::TryCatch(Box::new(term), None),
                }
            } else if let Some(part) = self.part()? {
                self.descend()?;
                path.push((part, Opt::Essential));
            } else {
                break;
            }
        }
        if path.is_empty() {
            return Ok(term);
        }
        Ok(match term {
            // What an atom like `.a` brought along.
            Term::Path(head, mut parts) if matches!(*head, Term::Id) => {
                parts.0.extend(path);
                Term::Path(head, parts)
            }
            term => Term::Path(Box::new(term), Path(path)),
        })
    }

    fn part(&mut self) -> Parsed<Option<Part<Tree<'s>>>> {
        if let Some(block) = self.block('[') {
            return self.brackets(block).map(Some);
        }
        let Some(Token(symbol, Tok::Sym)) = self.peek() else {
            return Ok(None);
        };
        if *symbol == ".." {
            return Ok(None);
        }
        let Some(name) = symbol.strip_prefix('.') else {
            return Ok(None);
        };
        self.at += 1;
        if !name.is_empty() {
            return Ok(Some(Part::Index(text(name))));
        }
        if let Some(block) = self.block('[') {
            return self.brackets(block).map(Some);
        }
        match self.quoted()? {
            Some(key) => Ok(Some(Part::Index(key))),
            None => Err(self.unexpected("the name of a field")),
        }
    }

    /// A string, possibly with a format.
    fn quoted(&mut self) -> Parsed<Option<Tree<'s>>> {
        if let Some(Token(format, Tok::Fmt)) = self.peek() {
            let before = self.at;
            self.at += 1;
            if let Some(parts) = self.string()? {
                return Ok(Some(Term::Str(Some(*format), parts)));
            }
            self.at = before;
            return Ok(None);
        }
        Ok(self.string()?.map(|parts| Term::Str(None, parts)))
    }

    /// `[]`, `[t]`, `[t:]`, `[t:t]`, `[:t]`.
    fn brackets(&self, block: &'t Token<&'s str>) -> Parsed<Part<Tree<'s>>> {
        let mut inner = self.inside(block);
        if inner.peek().is_none() {
            return Ok(Part::Range(None, None));
        }
        if inner.take(":") {
            let to = inner.pipe()?;
            inner.end()?;
            return Ok(Part::Range(None, Some(to)));
        }
        let from = inner.pipe()?;
        if !inner.take(":") {
            inner.end()?;
            return Ok(Part::Index(from));
        }
        if inner.peek().is_none() {
            return Ok(Part::Range(Some(from), None));
        }
        let to = inner.pipe()?;
        inner.end()?;
        Ok(Part::Range(Some(from), Some(to)))
    }

    fn atom(&mut self) -> Parsed<Tree<'s>> {
        if let Some(term) = self.quoted()? {
            return Ok(term);
        }
        let Some(Token(word, kind)) = self.peek() else {
            return Err(self.unexpected("an expression"));
        };
        let token = &self.tokens[self.at];
        match kind {
            Tok::Num => {
                self.at += 1;
                Ok(Term::Num(word))
            }
            Tok::Var => {
                self.at += 1;
                Ok(match *word {
                    "$__loc__" => self.location(token.0),
                    name => Term::Var(name),
                })
            }
            Tok::Fmt => {
                self.at += 1;
                Ok(Term::Call(word, Vec::new()))
            }
            Tok::Block(_) => {
                self.at += 1;
                match word.as_bytes().first() {
                    Some(b'(') => self.whole(token),
                    Some(b'[') => self.array(token),
                    _ => self.object(token),
                }
            }
            Tok::Word => self.word(word),
            Tok::Sym => self.symbol(word),
            Tok::Str(_) => Err(self.unexpected("an expression")),
        }
    }

    /// Where in the text something stands.
    fn location(&self, token: &str) -> Tree<'s> {
        const LINES: [&str; 10] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
        let before = &self.text[..self.span(token).start];
        let line = before.matches('\n').count();
        // Beyond ten lines the last of them will do.
        let line = LINES.get(line).copied().unwrap_or("10");
        Term::Obj(vec![
            (text("file"), Some(text("<top-level>"))),
            (text("line"), Some(Term::Num(line))),
        ])
    }

    fn symbol(&mut self, symbol: &'s str) -> Parsed<Tree<'s>> {
        match symbol {
            ".." => {
                self.at += 1;
                Ok(Term::Recurse)
            }
            "." => {
                self.at += 1;
                Ok(match self.quoted()? {
                    Some(key) => Term::Path(
                        Box::new(Term::Id),
                        Path(vec![(Part::Index(key), Opt::Essential)]),
                    ),
                    None => Term::Id,
                }
                .into_path_with_option(self))
            }
            _ => {
                match symbol.strip_prefix('.') {
                    Some(name) => {
                        self.at += 1;
                        let part = (Part::Index(text(name)), Opt::Essential);
                        Ok(Term::Path(Box::new(Term::Id), Path(vec![part]))
                            .into_path_with_option(self))
                    }
                    None => Err(self.unexpected("an expression")),
                }
            }
        }
    }

    fn word(&mut self, word: &'s str) -> Parsed<Tree<'s>> {
        match word {
            "if" => {
                self.at += 1;
                self.condition()
            }
            "try" => {
                self.at += 1;
                let body = self.tried()?;
                let handler = if self.take("catch") {
                    Some(Box::new(self.tried()?))
                } else {
                    None
                };
                Ok(Term::TryCatch(Box::new(body), handler))
            }
            "reduce" | "foreach" => {
                self.at += 1;
                self.fold(word)
            }
            "break" => {
                self.at += 1;
                self.variable().map(Term::Break)
            }
            "import" | "include" | "module" => Err(self.unsupported("modules are")),
            _ if word.contains("::") => Err(self.unsupported("modules are")),
            _ if RESERVED.contains(&word) => Err(self.unexpected("an expression")),
            _ => {
                self.at += 1;
                let arguments = self.arguments()?;
                Ok(Term::Call(word, arguments))
            }
        }
    }

    /// What `try` and `catch` apply to.
    fn tried(&mut self) -> Parsed<Tree<'s>> {
        if self.take("-") {
            return self.tried().map(|term| Term::Neg(Box::new(term)));
        }
        self.postfix()
    }

    fn arguments(&mut self) -> Parsed<Vec<Tree<'s>>> {
        let Some(block) = self.block('(') else {
            return Ok(Vec::new());
        };
        let mut inner = self.inside(block);
        let mut arguments = vec![inner.pipe()?];
        while inner.take(";") {
            arguments.push(inner.pipe()?);
        }
        inner.end()?;
        Ok(arguments)
    }

    fn condition(&mut self) -> Parsed<Tree<'s>> {
        let depth = self.depth;
        let mut branches = Vec::new();
        let otherwise = loop {
            self.descend()?;
            let condition = self.pipe()?;
            self.expect("then")?;
            let branch = self.pipe()?;
            branches.push((condition, branch));
            if self.take("elif") {
                continue;
            }
            if self.take("else") {
                let otherwise = self.pipe()?;
                self.expect("end")?;
                break Some(Box::new(otherwise));
            }
            if self.take("end") {
                break None;
            }
            return Err(self.unexpected("`elif`, `else` or `end`"));
        };
        self.depth = depth;
        Ok(Term::IfThenElse(branches, otherwise))
    }

    fn fold(&mut self, name: &'s str) -> Parsed<Tree<'s>> {
        let source = self.postfix()?;
        self.expect("as")?;
        let pattern = self.pattern()?;
        let expected = if name == "reduce" { 2..=2 } else { 2..=3 };
        let span = self.here();
        let arguments = self.arguments()?;
        if !expected.contains(&arguments.len()) {
            return Err(super::Problem {
                message: format!("`{name}` needs `(start; update)` after the variable"),
                span,
            });
        }
        Ok(Term::Fold(name, Box::new(source), pattern, arguments))
    }

    fn array(&self, block: &'t Token<&'s str>) -> Parsed<Tree<'s>> {
        if self.inside(block).peek().is_none() {
            return Ok(Term::Arr(None));
        }
        self.whole(block)
            .map(|items| Term::Arr(Some(Box::new(items))))
    }

    fn object(&self, block: &'t Token<&'s str>) -> Parsed<Tree<'s>> {
        let mut inner = self.inside(block);
        let mut entries = Vec::new();
        while inner.peek().is_some() {
            // Each entry is a level of the tree.
            inner.descend()?;
            entries.push(inner.entry()?);
            if !inner.take(",") {
                break;
            }
        }
        inner.end()?;
        Ok(Term::Obj(entries))
    }

    fn entry(&mut self) -> Parsed<(Tree<'s>, Option<Tree<'s>>)> {
        let computed = matches!(self.peek(), Some(Token(_, Tok::Block(_))));
        let key = match self.peek() {
            Some(Token(name, Tok::Var)) => {
                let name = *name;
                let location = self.location(name);
                self.at += 1;
                return Ok(match name {
                    "$__loc__" => (text("__loc__"), Some(location)),
                    name => (Term::Var(name), None),
                });
            }
            _ => self.key()?,
        };
        if self.take(":") {
            let value = self.without_commas()?;
            return Ok((key, Some(value)));
        }
        if computed {
            return Err(self.unexpected("`:`"));
        }
        Ok((key, None))
    }

    /// The key of an object's entry or of a pattern.
    pub(super) fn key(&mut self) -> Parsed<Tree<'s>> {
        if let Some(block) = self.block('(') {
            return self.whole(block);
        }
        if let Some(Token(name, Tok::Word)) = self.peek() {
            self.at += 1;
            return Ok(text(name));
        }
        if let Some(key) = self.quoted()? {
            return Ok(key);
        }
        Err(self.unexpected("a key"))
    }
}

/// A question mark right after a field concerns that field only.
trait WithOption<'s> {
    fn into_path_with_option(self, parser: &mut Parser<'s, '_>) -> Self;
}

impl<'s> WithOption<'s> for Tree<'s> {
    fn into_path_with_option(mut self, parser: &mut Parser<'s, '_>) -> Self {
        if let Self::Path(_, path) = &mut self
            && let Some((_, optional)) = path.0.last_mut()
        {
            while parser.take("?") {
                *optional = Opt::Optional;
            }
        }
        self
    }
}
