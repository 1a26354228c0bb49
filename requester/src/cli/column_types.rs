//! `--types`: a list of columns and their types.

use std::str::FromStr;

use duckblind_lake::seal::ColumnType;

/// `COL=TYPE[,COL=TYPE…]`. A column name with a comma stands in double quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnTypes(pub(super) Vec<(String, ColumnType)>);

impl FromStr for ColumnTypes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        split(text).map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// Commas within quotes or parentheses belong to a name or to `DECIMAL(p,s)`.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut inside) = (false, false);
    text.split(move |c| {
        match c {
            '"' => quoted = !quoted,
            '(' | ')' if !quoted => inside = c == '(',
            _ => {}
        }
        c == ',' && !quoted && !inside
    })
}

fn one(text: &str) -> Result<(String, ColumnType), String> {
    let (name, kind) = text
        .rsplit_once('=')
        .ok_or_else(|| format!("expected COL=TYPE, not {text:?}"))?;
    let name = name.trim();
    let name = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name);
    let kind = kind
        .parse()
        .map_err(|error: duckblind_lake::seal::BadColumnType| error.to_string())?;
    if name.is_empty() {
        return Err(format!("expected COL=TYPE, not {text:?}"));
    }
    Ok((name.into(), kind))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let ColumnTypes(types) = text.parse().unwrap();
        types
            .iter()
            .map(|(name, kind)| format!("{name}: {kind}"))
            .collect()
    }

    #[test]
    fn lists_of_columns() {
        assert_eq!(shown("id=bigint"), ["id: BIGINT"]);
        assert_eq!(
            shown(r#"price=DECIMAL(12,2), a=b = date,"x, y"=varchar,n (EUR)=double"#),
            [
                "price: DECIMAL(12,2)",
                "a=b: DATE",
                "x, y: VARCHAR",
                "n (EUR): DOUBLE"
            ]
        );
        for bad in [
            "",
            "id",
            "=DATE",
            "id=",
            "id=MONEY",
            "id=DATE,",
            "p=DECIMAL(1,2)",
        ] {
            assert!(bad.parse::<ColumnTypes>().is_err(), "{bad}");
        }
    }
}
