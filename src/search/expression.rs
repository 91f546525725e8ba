//! Constraints between parameters: a small language of its own, read once and only ever evaluated.
//!
//! Numbers, texts in quotes, `true`, `false`, parameters, `+ - * / // % **`, comparisons (which chain: `1 < a <= b`),
//! `in [...]`, `and or not`, parentheses, and the functions of [`FUNCTIONS`]. Precedence and the sign of `%` are
//! Python's. A nested name is written with a dot (`opt.lr`) or any name at all in backquotes (`` `opt/lr` ``). There is
//! nothing in it that could touch the machine, and depth and length are bounded.

use serde_json::{Map, Value};

use super::evaluate::{evaluate, truth};
use super::space::suggest;
use crate::{Error, Result};

/// The functions, with the smallest and largest number of arguments.
pub const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("min", 1, 64),
    ("max", 1, 64),
    ("abs", 1, 1),
    ("log", 1, 2),
    ("log2", 1, 1),
    ("log10", 1, 1),
    ("exp", 1, 1),
    ("sqrt", 1, 1),
    ("floor", 1, 1),
    ("ceil", 1, 1),
    ("round", 1, 1),
];

const LENGTH_MAX: usize = 4096;
/// A row of sums nests one level a term, and evaluation recurses.
const TOKENS_MAX: usize = 500;
const DEPTH_MAX: usize = 64;
const OPERATORS: &[&str] = &[
    "**", "//", "<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",",
];
const COMPARISONS: &[&str] = &["<", "<=", ">", ">=", "==", "!=", "in", "not in"];

/// A constraint, ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    text: String,
    root: Node,
    names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Value(Operand),
    Param(String),
    Not(Box<Node>),
    Negative(Box<Node>),
    Arithmetic(&'static str, Box<Node>, Box<Node>),
    /// First operand, then each operator with its right side.
    Chain(Box<Node>, Vec<(&'static str, Node)>),
    List(Vec<Node>),
    Both(Box<Node>, Box<Node>),
    Either(Box<Node>, Box<Node>),
    Call(&'static str, Vec<Node>),
}

/// What a part of an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Number(f64),
    Text(String),
    Truth(bool),
    List(Vec<Operand>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    /// A word or, when quoted, a name that is no keyword.
    Name(String, bool),
    Operator(&'static str),
}

impl Expression {
    /// Reads an expression over the parameters `known`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the text and what is wrong with it.
    pub fn parse(text: &str, known: &[&str]) -> Result<Expression> {
        let fail = |why: &str| Error::invalid(format!("constraint \"{}\"", short(text)), why);
        if text.len() > LENGTH_MAX {
            return Err(fail("is too long"));
        }
        let tokens = split(text).map_err(|why| fail(&why))?;
        if tokens.len() > TOKENS_MAX {
            return Err(fail("is too long"));
        }
        let mut parser =
            Parser { tokens, at: 0, depth: 0, known, names: Vec::new(), stranger: None };
        let root = match (parser.either(), parser.stranger.take()) {
            (_, Some(name)) => {
                let error = fail(&format!("there is no parameter \"{name}\""));
                let inside = known.iter().find(|known| known.split('/').any(|part| part == name));
                return Err(match inside {
                    Some(path) => error.with_hint(format!("write `{path}` in backquotes")),
                    None => suggest(error, &name, known.iter().copied()),
                });
            }
            (root, None) => root.map_err(|why| fail(&why))?,
        };
        if parser.at < parser.tokens.len() {
            return Err(fail(&format!("nothing can follow after {}", parser.before())));
        }
        if matches!(
            root,
            Node::Arithmetic(..) | Node::Negative(..) | Node::Call(..) | Node::List(..)
        ) {
            return Err(fail("is a value and not a condition"));
        }
        Ok(Expression { text: text.to_owned(), root, names: parser.names })
    }

    /// Returns the parameters it mentions.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Says whether `point` meets it; a parameter that is not in the point leaves nothing to meet.
    ///
    /// A comparison with what is no number, such as 0 / 0, is false.
    ///
    /// # Errors
    /// [`Error::Invalid`] when values do not fit together, such as a text minus a number.
    pub fn holds(&self, point: &Map<String, Value>) -> Result<bool> {
        if self.names.iter().any(|name| !point.contains_key(name)) {
            return Ok(true);
        }
        let outcome = evaluate(&self.root, point).and_then(|value| truth(&value));
        outcome.map_err(|why| Error::invalid(format!("constraint \"{}\"", short(&self.text)), why))
    }
}

/// A result whose error is only what is wrong; where comes later.
pub(super) type Step<T> = std::result::Result<T, String>;

fn split(text: &str) -> Step<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_ascii_digit() || first == '.' {
            let length = number_length(rest);
            let number = rest[..length].replace('_', "");
            let number =
                number.parse().map_err(|_| format!("{} is not a number", &rest[..length]))?;
            tokens.push(Token::Number(number));
            length
        } else if matches!(first, '"' | '\'' | '`') {
            let inside = &rest[1..];
            let end = inside.find(first).ok_or_else(|| format!("a {first} is not closed"))?;
            let quoted = inside[..end].to_owned();
            tokens.push(if first == '`' { Token::Name(quoted, true) } else { Token::Text(quoted) });
            end + 2
        } else if first.is_alphabetic() || first == '_' {
            let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..length].to_owned(), false));
            length
        } else {
            let operator = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
            let operator = operator.ok_or_else(|| match first {
                '=' => "equality is written ==".to_owned(),
                _ => format!("\"{first}\" means nothing here"),
            })?;
            tokens.push(Token::Operator(operator));
            operator.len()
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Returns how many bytes the number at the start takes, an exponent with its sign included.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let exponent = at > 0 && matches!(bytes[at - 1], b'e' | b'E');
        match bytes[at] {
            b'0'..=b'9' | b'.' | b'_' => {}
            b'e' | b'E' => {}
            b'+' | b'-' if exponent => {}
            _ => break,
        }
        at += 1;
    }
    at
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    known: &'a [&'a str],
    names: Vec<String>,
    stranger: Option<String>,
}

impl Parser<'_> {
    fn operator(&mut self, among: &[&'static str]) -> Option<&'static str> {
        let found = match self.tokens.get(self.at) {
            Some(Token::Operator(operator)) => among.iter().find(|one| *one == operator).copied(),
            Some(Token::Name(word, false)) => among.iter().find(|one| *one == word).copied(),
            _ => None,
        };
        self.at += usize::from(found.is_some());
        found
    }

    fn before(&self) -> String {
        match self.at.checked_sub(1).and_then(|at| self.tokens.get(at)) {
            Some(Token::Number(number)) => number.to_string(),
            Some(Token::Text(text)) => format!("\"{text}\""),
            Some(Token::Name(name, _)) => name.clone(),
            Some(Token::Operator(operator)) => format!("\"{operator}\""),
            None => "the start".into(),
        }
    }

    fn either(&mut self) -> Step<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("is nested too deeply".into());
        }
        let mut left = self.both()?;
        while self.operator(&["or"]).is_some() {
            left = Node::Either(Box::new(left), Box::new(self.both()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn both(&mut self) -> Step<Node> {
        let mut left = self.negated()?;
        while self.operator(&["and"]).is_some() {
            left = Node::Both(Box::new(left), Box::new(self.negated()?));
        }
        Ok(left)
    }

    fn negated(&mut self) -> Step<Node> {
        let mut odd = false;
        while self.operator(&["not"]).is_some() {
            odd = !odd;
        }
        let inner = self.comparison()?;
        Ok(if odd { Node::Not(Box::new(inner)) } else { inner })
    }

    fn comparison(&mut self) -> Step<Node> {
        let first = self.sum()?;
        let mut links = Vec::new();
        loop {
            let operator = match self.operator(COMPARISONS) {
                Some(operator) => operator,
                None if self.operator(&["not"]).is_some() => {
                    self.operator(&["in"]).ok_or("after a value, not must be followed by in")?;
                    "not in"
                }
                None => break,
            };
            links.push((operator, self.sum()?));
        }
        Ok(if links.is_empty() { first } else { Node::Chain(Box::new(first), links) })
    }

    fn sum(&mut self) -> Step<Node> {
        let mut left = self.product()?;
        while let Some(operator) = self.operator(&["+", "-"]) {
            left = Node::Arithmetic(operator, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Step<Node> {
        let mut left = self.signed()?;
        while let Some(operator) = self.operator(&["*", "/", "//", "%"]) {
            left = Node::Arithmetic(operator, Box::new(left), Box::new(self.signed()?));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Step<Node> {
        let mut negative = false;
        while let Some(sign) = self.operator(&["-", "+"]) {
            negative ^= sign == "-";
        }
        let inner = self.power()?;
        Ok(if negative { Node::Negative(Box::new(inner)) } else { inner })
    }

    fn power(&mut self) -> Step<Node> {
        let base = self.atom()?;
        if self.operator(&["**"]).is_none() {
            return Ok(base);
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("is nested too deeply".into());
        }
        let exponent = self.signed()?;
        self.depth -= 1;
        Ok(Node::Arithmetic("**", Box::new(base), Box::new(exponent)))
    }

    fn atom(&mut self) -> Step<Node> {
        if self.operator(&["("]).is_some() {
            let inner = self.either()?;
            if self.operator(&[","]).is_none() {
                self.operator(&[")"]).ok_or("a ( is not closed")?;
                return Ok(inner);
            }
            let mut items = vec![inner];
            items.extend(self.items(")")?);
            return Ok(Node::List(items));
        }
        if self.operator(&["["]).is_some() {
            return Ok(Node::List(self.items("]")?));
        }
        let token = self.tokens.get(self.at).cloned();
        let Some(token) = token else {
            return Err(format!("a value is missing after {}", self.before()));
        };
        self.at += 1;
        match token {
            Token::Number(number) => Ok(Node::Value(Operand::Number(number))),
            Token::Text(text) => Ok(Node::Value(Operand::Text(text))),
            Token::Name(name, quoted) => self.name(name, quoted),
            Token::Operator(operator) => Err(format!("a value is missing before \"{operator}\"")),
        }
    }

    fn items(&mut self, close: &'static str) -> Step<Vec<Node>> {
        let mut items = Vec::new();
        while self.operator(&[close]).is_none() {
            items.push(self.either()?);
            if self.operator(&[","]).is_none() {
                self.operator(&[close]).ok_or("a list or call is not closed")?;
                break;
            }
        }
        Ok(items)
    }

    fn name(&mut self, name: String, quoted: bool) -> Step<Node> {
        let calls = self.tokens.get(self.at) == Some(&Token::Operator("("));
        if !quoted && calls {
            self.at += 1;
            let arguments = self.items(")")?;
            let Some((function, least, most)) = FUNCTIONS.iter().find(|one| one.0 == name) else {
                return Err(format!("there is no function {name}"));
            };
            if arguments.len() < *least || arguments.len() > *most {
                return Err(format!("{name} does not take {} arguments", arguments.len()));
            }
            return Ok(Node::Call(function, arguments));
        }
        let path = name.replace('.', "/");
        let known = self.known.iter().find(|known| **known == name);
        let known = known.or_else(|| self.known.iter().find(|known| !quoted && **known == path));
        match (known, name.as_str()) {
            (Some(param), _) => {
                if !self.names.iter().any(|have| have == param) {
                    self.names.push((*param).to_owned());
                }
                Ok(Node::Param((*param).to_owned()))
            }
            (None, "true" | "True") if !quoted => Ok(Node::Value(Operand::Truth(true))),
            (None, "false" | "False") if !quoted => Ok(Node::Value(Operand::Truth(false))),
            (None, "and" | "or" | "not" | "in") if !quoted => {
                Err(format!("a value is missing before {name}"))
            }
            (None, _) => {
                self.stranger = Some(name);
                Err("unknown name".into())
            }
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
