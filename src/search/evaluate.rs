//! Evaluating constraints.

use serde_json::{Map, Value};

use super::expression::{Node, Operand, Step};

/// Computes a node for a point.
pub(super) fn evaluate(node: &Node, point: &Map<String, Value>) -> Step<Operand> {
    Ok(match node {
        Node::Value(value) => value.clone(),
        Node::Param(name) => operand(name, point.get(name).unwrap_or(&Value::Null))?,
        Node::Not(inner) => Operand::Truth(!truth(&evaluate(inner, point)?)?),
        Node::Negative(inner) => Operand::Number(-number(&evaluate(inner, point)?)?),
        Node::Both(left, right) => {
            Operand::Truth(truth(&evaluate(left, point)?)? && truth(&evaluate(right, point)?)?)
        }
        Node::Either(left, right) => {
            Operand::Truth(truth(&evaluate(left, point)?)? || truth(&evaluate(right, point)?)?)
        }
        Node::List(items) => {
            Operand::List(items.iter().map(|item| evaluate(item, point)).collect::<Step<_>>()?)
        }
        Node::Arithmetic(operator, left, right) => {
            let (a, b) = (number(&evaluate(left, point)?)?, number(&evaluate(right, point)?)?);
            Operand::Number(match *operator {
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                "/" => a / b,
                "//" => (a / b).floor(),
                "%" => a - b * (a / b).floor(),
                _ => a.powf(b),
            })
        }
        Node::Call(function, arguments) => {
            let values = arguments.iter().map(|argument| number(&evaluate(argument, point)?));
            Operand::Number(call(function, &values.collect::<Step<Vec<f64>>>()?))
        }
        Node::Chain(first, links) => {
            let mut left = evaluate(first, point)?;
            for (operator, right) in links {
                let right = evaluate(right, point)?;
                if !compare(operator, &left, &right)? {
                    return Ok(Operand::Truth(false));
                }
                left = right;
            }
            Operand::Truth(true)
        }
    })
}

fn compare(operator: &str, left: &Operand, right: &Operand) -> Step<bool> {
    let ordering = match (left, right) {
        (Operand::Number(a), Operand::Number(b)) => a.partial_cmp(b),
        (Operand::Text(a), Operand::Text(b)) => Some(a.cmp(b)),
        _ if matches!(operator, "<" | "<=" | ">" | ">=") => {
            return Err(format!("{} and {} have no order", words(left), words(right)));
        }
        _ => None,
    };
    Ok(match operator {
        "==" => left == right,
        "!=" => left != right,
        "<" => ordering.is_some_and(std::cmp::Ordering::is_lt),
        "<=" => ordering.is_some_and(std::cmp::Ordering::is_le),
        ">" => ordering.is_some_and(std::cmp::Ordering::is_gt),
        ">=" => ordering.is_some_and(std::cmp::Ordering::is_ge),
        _ => match right {
            Operand::List(items) => items.contains(left) == (operator == "in"),
            _ => return Err(format!("{} is not a list", words(right))),
        },
    })
}

fn call(function: &str, values: &[f64]) -> f64 {
    let x = values[0];
    match function {
        "min" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "abs" => x.abs(),
        "log" => values.get(1).map_or(x.ln(), |base| x.ln() / base.ln()),
        "log2" => x.log2(),
        "log10" => x.log10(),
        "exp" => x.exp(),
        "sqrt" => x.sqrt(),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        _ => x.round(),
    }
}

fn operand(name: &str, value: &Value) -> Step<Operand> {
    Ok(match value {
        Value::Bool(truth) => Operand::Truth(*truth),
        Value::String(text) => Operand::Text(text.clone()),
        Value::Number(number) => Operand::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::Array(items) => {
            Operand::List(items.iter().map(|item| operand(name, item)).collect::<Step<_>>()?)
        }
        _ => return Err(format!("{name} = {value} cannot be computed with")),
    })
}

fn number(value: &Operand) -> Step<f64> {
    match value {
        Operand::Number(number) => Ok(*number),
        _ => Err(format!("{} is not a number", words(value))),
    }
}

/// Returns a truth value and refuses anything else.
pub(super) fn truth(value: &Operand) -> Step<bool> {
    match value {
        Operand::Truth(truth) => Ok(*truth),
        _ => Err(format!("{} is neither true nor false", words(value))),
    }
}

fn words(value: &Operand) -> String {
    match value {
        Operand::Number(number) => number.to_string(),
        Operand::Text(text) => format!("\"{text}\""),
        Operand::Truth(truth) => truth.to_string(),
        Operand::List(_) => "a list".into(),
    }
}
