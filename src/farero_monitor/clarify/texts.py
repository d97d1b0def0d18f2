"""What the report of bias and attributions says, in English and Spanish; a test keeps both alike.

`analysis.json` and `constraint_violations.json` stay English, in Clarify's words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from farero_monitor.clarify import bias

if TYPE_CHECKING:
    from farero_monitor.words import Language

EN = {
    "title_bias": "Bias of a model", "title_shap": "Attributions of a model", "title": "Analysis Report",
    "rows": "{rows:,} rows", "analysed": "{rows:,} rows were analysed.",
    "pre": "{facet} {group}, before training", "post": "{facet} {group}, after training",
    "positive": "positive: {label} {value}",
    "metric": "metric", "value": "value", "samples": "99 % of samples", "baseline": "baseline",
    "span": "{low:.4f} to {high:.4f}", "worse": "worse", "beyond": "beyond chance",
    "comes_from": "What {label} comes from", "explained": "{how}, {explained:,} of {rows:,} rows",
    "against": "{what}, NDCG {score:.3f} against the baseline",
    "feature": "feature", "attribution": "attribution",
    "first": "The first {count} of {all} features are shown.",
    # the sentence of a monitoring run
    "order_changed": "The order of the features has changed: NDCG {least:.3f}, from {limit:.2f} on it holds.",
    "order_same": "The order of the features is that of the baseline: NDCG {least:.3f}, from {limit:.2f} on it holds.",
    "no_baseline": "There is no baseline to compare with.",
    "no_farther": "No metric is farther from fair than in the baseline.",
    "farther": "{count} metrics are farther from fair than in the baseline, {sure} of them beyond chance.",
}  # fmt: skip
ES = {
    "title_bias": "Sesgo de un modelo", "title_shap": "Atribuciones de un modelo", "title": "Informe del análisis",
    "rows": "{rows:,} filas", "analysed": "Se analizaron {rows:,} filas.",
    "pre": "{facet} {group}, antes de entrenar", "post": "{facet} {group}, después de entrenar",
    "positive": "positivo: {label} {value}",
    "metric": "métrica", "value": "valor", "samples": "99 % de las muestras", "baseline": "línea base",
    "span": "{low:.4f} a {high:.4f}", "worse": "peor", "beyond": "más que el azar",
    "comes_from": "De qué sale {label}", "explained": "{how}, {explained:,} de {rows:,} filas",
    "against": "{what}, NDCG {score:.3f} frente a la línea base",
    "feature": "característica", "attribution": "atribución",
    "first": "Se muestran las {count} primeras de {all} características.",
    "order_changed": "El orden de las características ha cambiado: NDCG {least:.3f}; se mantiene desde {limit:.2f}.",
    "order_same": (
        "El orden de las características es el de la línea base: NDCG {least:.3f}; se mantiene desde {limit:.2f}."
    ),
    "no_baseline": "No hay línea base con la que comparar.",
    "no_farther": "Ninguna métrica está más lejos de lo justo que en la línea base.",
    "farther": "{count} métricas están más lejos de lo justo que en la línea base; {sure}, más que por azar.",
}  # fmt: skip
TABLES: dict[Language, dict[str, str]] = {"en": EN, "es": ES}

#: Metrics by their short names; their English ones are Clarify's own.
_METRICS = {
    "CI": "Desequilibrio de clases", "DPL": "Diferencia de proporciones positivas en las etiquetas",
    "KL": "Divergencia de Kullback-Leibler", "JS": "Divergencia de Jensen-Shannon", "LP": "Norma L-p",
    "TVD": "Distancia de variación total", "KS": "Distancia de Kolmogorov-Smirnov",
    "CDDL": "Disparidad demográfica condicional en las etiquetas",
    "DPPL": "Diferencia de proporciones positivas en las predicciones", "DI": "Impacto desigual",
    "DCA": "Diferencia de aceptación condicional", "DCR": "Diferencia de rechazo condicional",
    "RD": "Diferencia de exhaustividad", "SD": "Diferencia de especificidad",
    "DAR": "Diferencia de tasas de aceptación", "DRR": "Diferencia de tasas de rechazo",
    "AD": "Diferencia de exactitud", "CDDPL": "Disparidad demográfica condicional en las predicciones",
    "TE": "Igualdad de trato", "GE": "Entropía generalizada", "FT": "Prueba de inversión",
}  # fmt: skip
#: Why a metric has no value, by its English words.
_REASONS = {
    "One of the two groups has no rows.": "Uno de los dos grupos no tiene filas.",
    "All labels are positive, or none is.": "Todas las etiquetas son positivas, o ninguna.",
    "Nobody has a positive prediction.": "Nadie tiene una predicción positiva.",
    "A group has neither positive labels nor positive predictions.": (
        "Un grupo no tiene ni etiquetas ni predicciones positivas."
    ),
    "A group has neither negative labels nor negative predictions.": (
        "Un grupo no tiene ni etiquetas ni predicciones negativas."
    ),
    "A group has no positive labels.": "Un grupo no tiene etiquetas positivas.",
    "A group has no negative labels.": "Un grupo no tiene etiquetas negativas.",
    "A group has no positive predictions.": "Un grupo no tiene predicciones positivas.",
    "A group has no negative predictions.": "Un grupo no tiene predicciones negativas.",
    "All predictions are positive, or none is.": "Todas las predicciones son positivas, o ninguna.",
    "A group has neither false negatives nor false positives.": (
        "Un grupo no tiene ni falsos negativos ni falsos positivos."
    ),
    "All predicted labels are false negatives.": "Todas las predicciones son falsos negativos.",
}
_HOW_MANY = re.compile(r"(\d+) coalitions( \(all: exact\))?")


def say(key: str, language: Language = "en", **facts: object) -> str:
    """Return the words of `key` with its facts filled in."""
    return TABLES[language][key].format(**facts)


def described(name: str, language: Language = "en") -> str:
    """Return what a metric is called, its short name in brackets."""
    if language == "es" and name in _METRICS:
        return f"{_METRICS[name]} ({name})"
    return bias.described(name) if name == bias.FLIP or name in bias.METRICS else name


def how(text: str, language: Language = "en") -> str:
    """Return by which method rows were explained."""
    return _HOW_MANY.sub(_coalitions, text) if language == "es" else text


def _coalitions(found: re.Match[str]) -> str:
    return f"{found[1]} coaliciones{' (todas: exacto)' if found[2] else ''}"


def reason(text: str, language: Language = "en") -> str:
    """Return why a metric has no value; one that is not known here stays as it is."""
    return _REASONS.get(text, text) if language == "es" else text
