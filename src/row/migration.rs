//! Stored rows of one schema as rows of another: what is allowed, and how it is said when it is not. Reads no files.

use super::plan::{Body, From, Integer, Plan};
use super::schema::{Field, Fields, Past, Type, Variant};
use super::{DecodeError, Schema};
use crate::error::{Error, Result};

/// How stored rows become rows of the current program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    plan: Plan,
}

impl Migration {
    /// The way from rows of schema `stored` to rows of schema `current`, which is that of a row type of this program.
    ///
    /// # Errors
    /// `Config` if there is none; the message has every reason, what to do about it, and both schemas.
    pub fn between(stored: &Schema, current: &Schema) -> Result<Migration> {
        let mut refusals = Vec::new();
        if stored.encoding != current.encoding {
            refusals.push(format!(
                "they have encoding {}, this release reads {}: start from a snapshot of this release",
                stored.encoding, current.encoding
            ));
        }
        if stored.settings != current.settings {
            let names = stored.settings.keys().chain(current.settings.keys());
            let mut changed: Vec<_> = names
                .filter(|name| stored.settings.get(*name) != current.settings.get(*name))
                .collect();
            changed.sort_unstable();
            changed.dedup();
            for name in changed {
                let value = |schema: &Schema| match schema.settings.get(name) {
                    Some(value) => format!("{value:?}"),
                    None => "not set".to_owned(),
                };
                refusals.push(format!(
                    "{name} was {}, is {}: use a new uid, or drop the state",
                    value(stored),
                    value(current)
                ));
            }
        }
        let plan = Planner { refusals: &mut refusals }.plan(
            &current.name(),
            &stored.shape,
            &current.shape,
        );
        if refusals.is_empty() {
            return Ok(Migration { plan });
        }
        Err(Error::config(format!(
            "stored rows do not fit the program: {}. Stored: {stored}. Program: {current}",
            refusals.join("; ")
        )))
    }

    /// Whether stored rows are current rows as they are.
    pub fn is_identity(&self) -> bool {
        matches!(self.plan, Plan::Copy(_))
    }

    /// Whether unequal rows stay unequal and keep their order (of values, not of bytes). Keys must.
    pub fn keeps_order(&self) -> bool {
        self.plan.keeps_order()
    }

    /// Takes one stored row off the front of `input` and appends the bytes of the current one to `out`.
    ///
    /// # Errors
    /// If the input ends within the row, or has a variant or option that does not exist. Not everything is checked: what
    /// is appended may still fail to decode.
    pub fn transcode(&self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        self.plan.run(input, out)
    }
}

/// How stored rows become rows of the current program where its author may have said how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As they are read.
    Read(Migration),
    /// They are read as rows of the type that the author's closure takes.
    Through(Migration),
}

impl Way {
    /// The way from `stored` to `current`, where `old` is what the author's closure takes, if there is one. Rows that are current
    /// already do not go through it; others do wherever they can be read as `old`.
    ///
    /// # Errors
    /// As [`Migration::between`], if there is neither way.
    pub(crate) fn between(stored: &Schema, old: Option<&Schema>, current: &Schema) -> Result<Way> {
        let read = Migration::between(stored, current);
        if read.as_ref().is_ok_and(Migration::is_identity) {
            return read.map(Way::Read);
        }
        let Some(old) = old else { return read.map(Way::Read) };
        // What operators have set is no affair of the closure, and must be the same.
        let old = Schema { settings: current.settings.clone(), ..old.clone() };
        match (Migration::between(stored, &old), read) {
            (Ok(plan), _) => Ok(Way::Through(plan)),
            (Err(_), Ok(plan)) => Ok(Way::Read(plan)),
            (Err(_), Err(error)) => Err(Error::config(format!(
                "{}; nor are they what flow.migrate takes: {old}",
                error.message()
            ))),
        }
    }
}

/// Makes plans and gathers what stands against them. After a refusal the plan is of no use.
struct Planner<'a> {
    refusals: &'a mut Vec<String>,
}

impl Planner<'_> {
    fn plan(&mut self, place: &str, stored: &Type, current: &Type) -> Plan {
        if stored == current {
            return Plan::Copy(stored.clone());
        }
        if let (Some(from), Some(to)) = (Integer::of(stored), Integer::of(current))
            && from.widens_to(to)
        {
            return Plan::Widen(from, to);
        }
        match (stored, current) {
            (Type::Option(a), Type::Option(b)) => Plan::Option(self.boxed(place, a, b)),
            (Type::List(a), Type::List(b)) => Plan::List(self.boxed(place, a, b)),
            (Type::Set(a), Type::Set(b)) => Plan::List(self.key(place, a, b)),
            (Type::Map(a, x), Type::Map(b, y)) => {
                Plan::Map(self.key(place, a, b), self.boxed(place, x, y))
            }
            (Type::Array(a, n), Type::Array(b, m)) if n == m => {
                Plan::Array(self.boxed(place, a, b), *n)
            }
            (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
                let items = a.iter().zip(b).enumerate();
                Plan::Tuple(
                    items.map(|(i, (a, b))| self.plan(&format!("{place}.{i}"), a, b)).collect(),
                )
            }
            (Type::Struct(a), Type::Struct(b)) => {
                self.type_name(place, &a.name, &b.name, &b.was);
                Plan::Struct(self.body(place, &a.fields, &b.fields))
            }
            (Type::Enum(a), Type::Enum(b)) => {
                self.type_name(place, &a.name, &b.name, &b.was);
                Plan::Enum(self.variants(place, &a.variants, &b.variants))
            }
            _ => {
                self.refuse(format!(
                    "{place} was {}, is {}: no way leads from one to the other. Give the new one another name with \
                     #[row(default)] and declare the old one removed",
                    stored.name(),
                    current.name()
                ));
                Plan::Copy(stored.clone())
            }
        }
    }

    fn boxed(&mut self, place: &str, stored: &Type, current: &Type) -> Box<Plan> {
        Box::new(self.plan(place, stored, current))
    }

    /// Keys of sets and maps stay in their order, because their bytes do.
    fn key(&mut self, place: &str, stored: &Type, current: &Type) -> Box<Plan> {
        let plan = self.boxed(place, stored, current);
        if !plan.keeps_order() {
            self.refuse(format!(
                "{place} has keys {} whose order or distinctness would change: keep their fields and variants in order",
                stored.name()
            ));
        }
        plan
    }

    fn type_name(
        &mut self,
        place: &str,
        stored: &str,
        current: &str,
        was: &Past<Vec<&'static str>>,
    ) {
        if stored != current && !was.0.contains(&stored) {
            self.refuse(format!(
                "{place} was of type {stored}, is {current}: if it is the same, say #[row(was = {stored:?})] on {current}"
            ));
        }
    }

    fn variants(
        &mut self,
        place: &str,
        stored: &[Variant],
        current: &[Variant],
    ) -> Vec<(u8, Body)> {
        let names: Vec<_> = stored.iter().map(|variant| variant.name.as_str()).collect();
        let claims = claims(&names, current.iter().map(|v| (v.name.as_str(), v.was.0.as_slice())));
        let mut plans = Vec::new();
        for (i, variant) in stored.iter().enumerate() {
            let place = format!("{place}::{}", variant.name);
            let mut claiming = claims.iter().enumerate().filter(|(_, claim)| **claim == Some(i));
            match (claiming.next(), claiming.next()) {
                (Some((number, _)), None) => {
                    let body = self.body(&place, &variant.fields, &current[number].fields);
                    plans.push((u8::try_from(number).unwrap_or(u8::MAX), body));
                }
                (None, _) => self.refuse(format!(
                    "the variant {place} is gone: keep it, or name it in #[row(was = {:?})] on its successor",
                    variant.name
                )),
                (Some(_), Some(_)) => {
                    self.refuse(format!("two variants say that they were {place}"));
                }
            }
        }
        plans
    }

    fn body(&mut self, place: &str, stored: &Fields, current: &Fields) -> Body {
        let names: Vec<_> = stored.list.iter().map(|field| field.name.as_str()).collect();
        let named = current.list.iter().map(|f| (f.name.as_str(), f.was.0.as_slice()));
        let mut claims = claims(&names, named);
        for (claim, field) in claims.iter_mut().zip(&current.list) {
            // A field that was removed, and another of its name that is new.
            if let Some(i) = *claim
                && field.default.0.is_some()
                && is_removed(current, &stored.list[i])
                && !self.fits(&stored.list[i].shape, &field.shape)
            {
                *claim = None;
            }
        }
        let mut plans: Vec<Option<Plan>> = vec![None; stored.list.len()];
        let mut froms = Vec::new();
        for (field, claim) in current.list.iter().zip(claims) {
            let place = format!("{place}.{}", field.name);
            match (claim, &field.default.0) {
                (Some(i), _) if plans[i].is_some() => {
                    let was = &stored.list[i].name;
                    self.refuse(format!("{place} and another field say that they were {was}"));
                }
                (Some(i), _) => {
                    plans[i] = Some(self.plan(&place, &stored.list[i].shape, &field.shape));
                    froms.push(From::Stored(i));
                }
                (None, Some(default)) => froms.push(From::Default(default.clone())),
                (None, None) => self.refuse(format!(
                    "the field {place} is new: give it #[row(default)], or #[row(was = \"..\")] if it had another name"
                )),
            }
        }
        let unclaimed = |(plan, field): (Option<Plan>, &Field)| {
            if plan.is_none() && !is_removed(current, field) {
                let (name, shape) = (&field.name, field.shape.name());
                self.refuse(format!(
                    "the field {place}.{name} is gone: declare #[row(removed = \"{name}: {shape}\")], or \
                     #[row(was = {name:?})] on its successor"
                ));
            }
            plan.unwrap_or_else(|| Plan::Copy(field.shape.clone()))
        };
        let plans = plans.into_iter().zip(&stored.list).map(unclaimed).collect();
        Body { stored: plans, current: froms }
    }

    fn refuse(&mut self, reason: String) {
        self.refusals.push(reason);
    }

    fn fits(&self, stored: &Type, current: &Type) -> bool {
        let mut refusals = Vec::new();
        Planner { refusals: &mut refusals }.plan("", stored, current);
        refusals.is_empty()
    }
}

fn is_removed(current: &Fields, field: &Field) -> bool {
    current.removed.0.iter().any(|(name, shape)| *name == field.name && *shape == field.shape)
}

/// For each current name the number of the stored one that it is. An earlier name counts where the name itself is not stored,
/// and comes before a new bearer of that name.
fn claims<'a>(
    stored: &[&str],
    current: impl Iterator<Item = (&'a str, &'a [&'static str])>,
) -> Vec<Option<usize>> {
    let find = |name: &str| stored.iter().position(|stored| *stored == name);
    let current: Vec<_> = current.collect();
    let earlier: Vec<_> = current
        .iter()
        .map(|(name, was)| match find(name) {
            Some(_) => None,
            None => was.iter().find_map(|was| find(was)),
        })
        .collect();
    current
        .iter()
        .zip(&earlier)
        .map(|((name, _), claim)| {
            claim.or_else(|| find(name).filter(|i| !earlier.contains(&Some(*i))))
        })
        .collect()
}

#[cfg(test)]
mod tests;
