"""What the analyzer tells people, in English and Spanish; a test keeps both tables alike.

Files keep English texts and the facts behind them, so that a page in another language can be made of them later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Language = Literal["en", "es"]

#: Findings and the sentence over them. Facts stand in braces, with how they are written.
EN = {
    # what a column's distribution did, the largest thing first
    "shift": "the mean moved by {shift:+.2f} standard deviations",
    "spread": "the spread changed by {spread:+.0%}",
    "outside": "{outside:.1f} times as many values lie at the ends",
    "gap": "the distribution functions are up to {gap:.3f} apart",
    "share": "the share of a value changed by {share:.1%}",
    "new": "{new:.1%} of the values are new",
    "changed": "{what} (adjusted p {p:.1g}).",
    # what else is found
    "missing_column": "The column is missing.",
    "extra_column": "The column is not in the baseline.",
    "no_numbers": "{share:.2%} of the values are no numbers.",
    "no_whole_numbers": "{share:.2%} of the values are not whole numbers.",
    "completeness": "{now:.1%} of the values are missing; in the baseline it was {then:.1%}.",
    "negative": "{count} values are negative; in the baseline none was.",
    "many_columns": "{drifted} of {columns} columns changed at once.",
    "pair": "Their rank correlation went from {then:.2f} to {now:.2f}.",
    "together": "By itself no column changed, but they go together otherwise, most of all {pairs}: a classifier "
    "tells the window from the baseline with an area under the curve of {auc:.2f}.",
    "estimated": "Estimated without labels, the quality left what is usual: {what}.",
    "measured_worse": "Measured with labels, the model is worse than its baseline: {what}.",
    "measured_better": "Measured with labels, the model is better than its baseline: {what}.",
    "few_labels": "Only {rows} records have a label: too few to tell the model's quality from its baseline's.",
    # the sentence
    "no_records": "There are no records in this window.",
    "not_enough": "Not enough data: {rows} records say nothing about drift yet.",
    "nothing": "Nothing that matters has changed in {rows:,} records.",
    "broken_in": "the data is broken in {columns}",
    "quality_left": "the model's estimated quality is not what it was",
    "measured_left": "the model is worse than it was, by its labels",
    "columns_changed": "{count} of {columns} columns changed: {names}",
    "things": "things to look at: {count}",
    "in_records": "{what}, in {rows:,} records.",
    "and_more": "{names} and {count} more",
}
ES = {
    "shift": "la media se movió {shift:+.2f} desviaciones típicas",
    "spread": "la dispersión cambió un {spread:+.0%}",
    "outside": "hay {outside:.1f} veces más valores en los extremos",
    "gap": "las funciones de distribución distan hasta {gap:.3f}",
    "share": "la proporción de un valor cambió un {share:.1%}",
    "new": "el {new:.1%} de los valores es nuevo",
    "changed": "{what} (p ajustada {p:.1g}).",
    "missing_column": "Falta la columna.",
    "extra_column": "La columna no está en la línea base.",
    "no_numbers": "El {share:.2%} de los valores no son números.",
    "no_whole_numbers": "El {share:.2%} de los valores no son números enteros.",
    "completeness": "Falta el {now:.1%} de los valores; en la línea base, el {then:.1%}.",
    "negative": "{count} valores son negativos; en la línea base no lo era ninguno.",
    "many_columns": "{drifted} de {columns} columnas cambiaron a la vez.",
    "pair": "Su correlación de rangos pasó de {then:.2f} a {now:.2f}.",
    "together": "Ninguna columna cambió por sí sola, pero van juntas de otro modo, sobre todo {pairs}: un clasificador "
    "distingue la ventana de la línea base con un área bajo la curva de {auc:.2f}.",
    "estimated": "Estimada sin etiquetas, la calidad se salió de lo habitual: {what}.",
    "measured_worse": "Medido con etiquetas, el modelo es peor que su línea base: {what}.",
    "measured_better": "Medido con etiquetas, el modelo es mejor que su línea base: {what}.",
    "few_labels": (
        "Solo {rows} registros tienen etiqueta: muy pocos para distinguir la calidad del modelo de la de su línea base."
    ),
    "no_records": "No hay registros en esta ventana.",
    "not_enough": "Faltan datos: {rows} registros aún no dicen nada sobre la deriva.",
    "nothing": "Nada importante ha cambiado en {rows:,} registros.",
    "broken_in": "los datos están rotos en {columns}",
    "quality_left": "la calidad estimada del modelo no es la que era",
    "measured_left": "el modelo es peor que antes, según sus etiquetas",
    "columns_changed": "{count} de {columns} columnas cambiaron: {names}",
    "things": "cosas que mirar: {count}",
    "in_records": "{what}, en {rows:,} registros.",
    "and_more": "{names} y {count} más",
}
TABLES: dict[Language, dict[str, str]] = {"en": EN, "es": ES}
#: Effects in the order in which they are told.
EFFECTS = ("shift", "spread", "outside", "gap", "share", "new")


def say(key: str, language: Language = "en", **facts: object) -> str:
    """Return the words of `key` with its facts filled in."""
    return TABLES[language][key].format(**facts)


def changes(effects: Mapping[str, float], p: float, language: Language = "en") -> str:
    """Say what changed in a column. effects: those that matter, by name; p: adjusted."""
    parts = [say(name, language, **effects) for name in EFFECTS if name in effects]
    return capital(say("changed", language, what="; ".join(parts), p=p))


def capital(text: str) -> str:
    """Return a text with its first letter large."""
    return f"{text[:1].upper()}{text[1:]}"


def of_environment(environ: Mapping[str, str]) -> Language:
    """Return the language that LC_ALL, LC_MESSAGES or LANG ask for, the first that is set; English by default."""
    asked = next(
        (environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), ""
    )
    return "es" if asked.lower().startswith("es") else "en"
