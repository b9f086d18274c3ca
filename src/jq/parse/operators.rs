//! Operators, from the loosest to the tightest, as jq has them.

use jaq_core::load::lex::{StrPart, Tok, Token};
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::{Cmp, Math};

use super::{Parsed, Parser};

type Tree<'s> = Term<&'s str>;

const PIPE: u8 = 0;
const COMMA: u8 = 1;
const ALTERNATIVE: u8 = 2;
const ASSIGNMENT: u8 = 3;
const OR: u8 = 4;
const AND: u8 = 5;
const COMPARISON: u8 = 6;
const SUM: u8 = 7;
const PRODUCT: u8 = 8;

/// Which operand of a chain of equal operators is grouped first.
#[derive(PartialEq, Eq)]
enum Grouping {
    Left,
    Right,
    /// Chains are errors.
    None,
}

fn grouping(precedence: u8) -> Grouping {
    match precedence {
        PIPE | ALTERNATIVE => Grouping::Right,
        ASSIGNMENT | COMPARISON => Grouping::None,
        _ => Grouping::Left,
    }
}

fn operator<'s>(text: &str) -> Option<(BinaryOp<&'s str>, u8)> {
    Some(match text {
        "|" => (BinaryOp::Pipe(None), PIPE),
        "," => (BinaryOp::Comma, COMMA),
        "//" => (BinaryOp::Alt, ALTERNATIVE),
        "=" => (BinaryOp::Assign, ASSIGNMENT),
        "|=" => (BinaryOp::Update, ASSIGNMENT),
        "+=" => (BinaryOp::UpdateMath(Math::Add), ASSIGNMENT),
        "-=" => (BinaryOp::UpdateMath(Math::Sub), ASSIGNMENT),
        "*=" => (BinaryOp::UpdateMath(Math::Mul), ASSIGNMENT),
        "/=" => (BinaryOp::UpdateMath(Math::Div), ASSIGNMENT),
        "%=" => (BinaryOp::UpdateMath(Math::Rem), ASSIGNMENT),
        "//=" => (BinaryOp::UpdateAlt, ASSIGNMENT),
        "or" => (BinaryOp::Or, OR),
        "and" => (BinaryOp::And, AND),
        "==" => (BinaryOp::Cmp(Cmp::Eq), COMPARISON),
        "!=" => (BinaryOp::Cmp(Cmp::Ne), COMPARISON),
        "<" => (BinaryOp::Cmp(Cmp::Lt), COMPARISON),
        "<=" => (BinaryOp::Cmp(Cmp::Le), COMPARISON),
        ">" => (BinaryOp::Cmp(Cmp::Gt), COMPARISON),
        ">=" => (BinaryOp::Cmp(Cmp::Ge), COMPARISON),
        "+" => (BinaryOp::Math(Math::Add), SUM),
        "-" => (BinaryOp::Math(Math::Sub), SUM),
        "*" => (BinaryOp::Math(Math::Mul), PRODUCT),
        "/" => (BinaryOp::Math(Math::Div), PRODUCT),
        "%" => (BinaryOp::Math(Math::Rem), PRODUCT),
        _ => return None,
    })
}

fn joined<'s>(left: Tree<'s>, operator: BinaryOp<&'s str>, right: Tree<'s>) -> Tree<'s> {
    Term::BinOp(Box::new(left), operator, Box::new(right))
}

/// A list as a tree that is as flat as can be: lists may be long.
fn listed(mut items: Vec<Tree<'_>>) -> Tree<'_> {
    if items.len() > 1 {
        let tail = items.split_off(items.len() / 2);
        return joined(listed(items), BinaryOp::Comma, listed(tail));
    }
    items.pop().unwrap_or_default()
}

impl<'s> Parser<'s, '_> {
    /// A whole expression.
    pub(super) fn pipe(&mut self) -> Parsed<Tree<'s>> {
        self.operation(PIPE, true)
    }

    /// An expression within a list whose items are parted by commas.
    pub(super) fn without_commas(&mut self) -> Parsed<Tree<'s>> {
        self.operation(PIPE, false)
    }

    fn operation(&mut self, lowest: u8, commas: bool) -> Parsed<Tree<'s>> {
        let depth = self.depth;
        let parsed = self.chain(lowest, commas);
        self.depth = depth;
        parsed
    }

    fn chain(&mut self, lowest: u8, commas: bool) -> Parsed<Tree<'s>> {
        self.descend()?;
        let mut left = self.operand(commas)?;
        // Above this, the chain has ended: `a == b == c` is no expression.
        let mut highest = u8::MAX;
        while let Some((operator, precedence)) = self.peek_word().and_then(operator) {
            if precedence < lowest || (precedence == COMMA && !commas) {
                break;
            }
            if precedence > highest {
                return Err(self.unexpected("an operator that binds less or parentheses"));
            }
            if precedence == COMMA {
                left = self.list(left, commas)?;
                continue;
            }
            self.at += 1;
            self.descend()?;
            let grouping = grouping(precedence);
            let next = precedence + u8::from(grouping != Grouping::Right);
            let right = self.operation(next, commas)?;
            left = joined(left, operator, right);
            if grouping == Grouping::None {
                highest = precedence - 1;
            }
        }
        Ok(left)
    }

    fn list(&mut self, first: Tree<'s>, commas: bool) -> Parsed<Tree<'s>> {
        let mut items = vec![first];
        while self.take(",") {
            items.push(self.operation(COMMA + 1, commas)?);
        }
        Ok(listed(items))
    }

    /// What stands between operators. A binding or a definition reaches as far
    /// to the right as it can.
    fn operand(&mut self, commas: bool) -> Parsed<Tree<'s>> {
        if self.take("def") {
            let mut defs = vec![self.definition()?];
            while self.take("def") {
                self.descend()?;
                defs.push(self.definition()?);
            }
            let body = self.operation(PIPE, commas)?;
            return Ok(Term::Def(defs, Box::new(body)));
        }
        if self.take("label") {
            let name = self.variable()?;
            self.expect("|")?;
            let body = self.operation(PIPE, commas)?;
            return Ok(Term::Label(name, Box::new(body)));
        }
        if self.take("-") {
            let term = self.operation(PRODUCT, commas)?;
            return Ok(Term::Neg(Box::new(term)));
        }
        let term = self.postfix()?;
        if !self.take("as") {
            return Ok(term);
        }
        let pattern = self.pattern()?;
        if self.peek_word() == Some("?") {
            return Err(self.unsupported("alternatives in destructuring (`?//`) are"));
        }
        self.expect("|")?;
        let body = self.operation(PIPE, commas)?;
        Ok(joined(term, BinaryOp::Pipe(Some(pattern)), body))
    }

    /// What follows `def`.
    pub(super) fn definition(&mut self) -> Parsed<Def<&'s str>> {
        let name = match self.peek() {
            Some(Token(name, Tok::Word | Tok::Fmt)) if !name.contains("::") => *name,
            _ => return Err(self.unexpected("the name of a function")),
        };
        self.at += 1;
        let mut args = Vec::new();
        if let Some(block) = self.block('(') {
            let mut inner = self.inside(block);
            loop {
                let Some(Token(name, Tok::Word | Tok::Var)) = inner.peek() else {
                    return Err(inner.unexpected("the name of an argument"));
                };
                inner.at += 1;
                args.push(*name);
                if !inner.take(";") {
                    break;
                }
            }
            inner.end()?;
        }
        self.expect(":")?;
        let body = self.pipe()?;
        self.expect(";")?;
        Ok(Def { name, args, body })
    }

    pub(super) fn variable(&mut self) -> Parsed<&'s str> {
        match self.peek() {
            Some(Token(name, Tok::Var)) => {
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a variable")),
        }
    }

    pub(super) fn pattern(&mut self) -> Parsed<Pattern<&'s str>> {
        self.deeper(|parser| {
            if let Some(block) = parser.block('[') {
                let mut inner = parser.inside(block);
                let mut items = vec![inner.pattern()?];
                while inner.take(",") {
                    items.push(inner.pattern()?);
                }
                inner.end()?;
                return Ok(Pattern::Arr(items));
            }
            if let Some(block) = parser.block('{') {
                let mut inner = parser.inside(block);
                let mut entries = Vec::new();
                loop {
                    inner.pattern_entry(&mut entries)?;
                    if !inner.take(",") {
                        break;
                    }
                }
                inner.end()?;
                return Ok(Pattern::Obj(entries));
            }
            parser.variable().map(Pattern::Var)
        })
    }

    fn pattern_entry(&mut self, entries: &mut Vec<(Tree<'s>, Pattern<&'s str>)>) -> Parsed<()> {
        if let Some(Token(name, Tok::Var)) = self.peek() {
            self.at += 1;
            let key = || Term::Str(None, vec![StrPart::Str(&name[1..])]);
            entries.push((key(), Pattern::Var(name)));
            if self.take(":") {
                let pattern = self.pattern()?;
                entries.push((key(), pattern));
            }
            return Ok(());
        }
        let key = self.key()?;
        self.expect(":")?;
        let pattern = self.pattern()?;
        entries.push((key, pattern));
        Ok(())
    }
}
