"""The page's own words, in English and Spanish; a test keeps both alike. Findings are in `farero_monitor.words`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farero_monitor.words import Language

EN = {
    "title": "Drift report", "title_quality": "Quality report",
    "records": "{rows:,} records", "span": "{start} to {end} UTC",
    "what": "What to look at", "more_findings": "{count} more stand in drift_report.json.",
    "severity": "severity", "column": "column", "finding": "what",
    "critical": "critical", "warning": "warning", "notice": "notice", "none": "for your information",
    "same": "same", "changed": "changed", "not enough data": "not enough data",
    "unread": "Lines that could not be read: {count:,}",
    "predictions": "Predictions",
    "predictions_why": "The model's answers. Their drift is a warning by itself, whatever its cause.",
    "over_time": "Over time", "windows": "{count} windows, this one at the right.",
    "rows": "records", "missing": "missing values", "share_changed": "columns that changed",
    "limit": "Dashed: from here on it matters.",
    "columns": "Columns", "baseline": "baseline", "window": "this window",
    "histogram": "Histogram, baseline and window", "apart": "at most {gap} apart, at {at}",
    "shares": "Shares of values, baseline and window", "new": "new", "gone": "gone",
    "mean": "mean {then} → {now}", "moved": "moved by {moved} on average",
    "different": "{then} → {now} different values", "missing_change": "missing {then:.1%} → {now:.1%}",
    "score": "score", "score_label": "Score over time: its largest effect by what matters",
    "missing_label": "Share of missing values over time",
    "not_drawn": "{count:,} columns are not drawn, to keep the page small: those that changed least.",
    "not_listed": "{count:,} columns are not listed; drift_report.json has them all.",
    "every": "Every column", "verdict": "verdict", "p": "adjusted p", "effects": "effects",
    "detectable": "detectable (sd)",
    "shift": "shift", "spread": "spread", "outside": "outside", "gap": "gap", "share": "share", "new_values": "new",
    "once": "changed in this window alone",
    "sagemaker": "Violations as SageMaker words them", "feature": "feature", "check": "check",
    "description": "description", "more_violations": "{count:,} more stand in constraint_violations.json.",
    "quality": "Quality, measured with labels", "estimated": "Quality, estimated without labels",
    "quality_why": "Computed from the labels that came so far.",
    "estimated_why": "Estimated from the model's answers alone ({method}); true as long as what it learnt still holds.",
    "rows_of": "From {rows:,} of {window:,} records.", "metric": "metric", "value": "value", "band": "band of 95 %",
    "in_baseline": "in the baseline", "usual": "usual", "state": "verdict", "worse": "worse", "better": "better",
    "with_band": "over time, with its band", "from_to": "{low} to {high}", "at_least": "{value} or more",
    "at_most": "{value} or less",
    "confusion": "Confusion matrix",
    "confusion_why": "Each row is a true label; its shares say what the model took it for. Right is on the diagonal.",
    "true_and_told": "true ↓ told →", "all_rows": "all",
    "labels_left_out": "{count:,} rarer labels are left out.",
    "together": "All columns together",
    "together_why": (
        "How well a classifier that looks only at how columns go together tells this window's records from the"
        " baseline's: 0.5 is not at all, 1 always."
    ),
    "together_same": "It cannot: ROC AUC {auc:.3f}.", "together_differ": "It can: ROC AUC {auc:.3f}.",
    "most_of_all": "Most of all by",
    "how": "How to read this",
    "sure": (
        "A shift of the mean of {shift:.2f} standard deviations or more would have been found in any column of numbers"
        " with enough data, 95 times of 100."
    ),
    "explain": (
        "A column counts as changed when its tests together are significant, with at most 1 % false ones among all"
        " columns (Benjamini and Hochberg), and the change is large enough to matter: its score is 1 or more."
        " “Not enough data” is not “no drift”. Drift by itself is a notice: the model may still be right."
    ),
    "explain_quality": (
        "The band of a metric holds its true value 95 times of 100. A metric is worse when it surely left what is usual"
        " for so many records. Only labels tell for certain: an estimate without them holds while what it learnt does."
    ),
}  # fmt: skip
ES = {
    "title": "Informe de deriva", "title_quality": "Informe de calidad",
    "records": "{rows:,} registros", "span": "{start} a {end} UTC",
    "what": "Qué mirar", "more_findings": "{count} más están en drift_report.json.",
    "severity": "gravedad", "column": "columna", "finding": "qué pasa",
    "critical": "crítico", "warning": "advertencia", "notice": "aviso", "none": "para saber",
    "same": "igual", "changed": "cambió", "not enough data": "faltan datos",
    "unread": "Líneas que no se pudieron leer: {count:,}",
    "predictions": "Predicciones",
    "predictions_why": "Las respuestas del modelo. Su deriva ya es una advertencia, sea cual sea la causa.",
    "over_time": "En el tiempo", "windows": "{count} ventanas; esta, a la derecha.",
    "rows": "registros", "missing": "valores que faltan", "share_changed": "columnas que cambiaron",
    "limit": "Línea a trazos: desde ahí importa.",
    "columns": "Columnas", "baseline": "línea base", "window": "esta ventana",
    "histogram": "Histograma, línea base y ventana", "apart": "distan como mucho {gap}, en {at}",
    "shares": "Proporciones de los valores, línea base y ventana", "new": "nuevo", "gone": "ya no",
    "mean": "media {then} → {now}", "moved": "se movió {moved} de media",
    "different": "{then} → {now} valores distintos", "missing_change": "faltan {then:.1%} → {now:.1%}",
    "score": "puntuación", "score_label": "Puntuación en el tiempo: su mayor efecto frente a lo que importa",
    "missing_label": "Proporción de valores que faltan en el tiempo",
    "not_drawn": "No se dibujan {count:,} columnas, para que la página sea pequeña: las que menos cambiaron.",
    "not_listed": "No se listan {count:,} columnas; drift_report.json las tiene todas.",
    "every": "Todas las columnas", "verdict": "veredicto", "p": "p ajustada", "effects": "efectos",
    "detectable": "detectable (d. t.)",
    "shift": "desplazamiento", "spread": "dispersión", "outside": "extremos", "gap": "distancia", "share": "proporción",
    "new_values": "nuevos",
    "once": "cambió solo en esta ventana",
    "sagemaker": "Violaciones, con las palabras de SageMaker", "feature": "columna", "check": "comprobación",
    "description": "descripción", "more_violations": "{count:,} más están en constraint_violations.json.",
    "quality": "Calidad, medida con etiquetas", "estimated": "Calidad, estimada sin etiquetas",
    "quality_why": "Calculada con las etiquetas que han llegado hasta ahora.",
    "estimated_why": (
        "Estimada solo con las respuestas del modelo ({method}); vale mientras siga vigente lo que aprendió."
    ),
    "rows_of": "De {rows:,} de {window:,} registros.", "metric": "métrica", "value": "valor", "band": "banda del 95 %",
    "in_baseline": "en la línea base", "usual": "habitual", "state": "veredicto", "worse": "peor", "better": "mejor",
    "with_band": "en el tiempo, con su banda", "from_to": "{low} a {high}", "at_least": "{value} o más",
    "at_most": "{value} o menos",
    "confusion": "Matriz de confusión",
    "confusion_why": (
        "Cada fila es una etiqueta verdadera; sus proporciones dicen por cuál la tomó el modelo. Los aciertos están en"
        " la diagonal."
    ),
    "true_and_told": "verdad ↓ dicho →", "all_rows": "todas",
    "labels_left_out": "Se dejan fuera {count:,} etiquetas más raras.",
    "together": "Todas las columnas juntas",
    "together_why": (
        "Lo bien que un clasificador, que solo mira cómo van juntas las columnas, distingue los registros de esta"
        " ventana de los de la línea base: 0.5 es nada, 1 siempre."
    ),
    "together_same": "No puede: ROC AUC {auc:.3f}.", "together_differ": "Puede: ROC AUC {auc:.3f}.",
    "most_of_all": "Sobre todo por",
    "how": "Cómo leer esto",
    "sure": (
        "Un desplazamiento de la media de {shift:.2f} desviaciones típicas o más se habría detectado en cualquier"
        " columna de números con datos suficientes, 95 veces de 100."
    ),
    "explain": (
        "Una columna cuenta como cambiada cuando sus pruebas juntas son significativas, con un 1 % de falsas como mucho"
        " entre todas las columnas (Benjamini y Hochberg), y el cambio es bastante grande para importar: su puntuación"
        " es 1 o más. «Faltan datos» no es «no hay deriva». La deriva por sí sola es un aviso: el modelo puede seguir"
        " acertando."
    ),
    "explain_quality": (
        "La banda de una métrica tiene su valor verdadero 95 veces de 100. Una métrica es peor cuando seguro que salió"
        " de lo habitual para tantos registros. Solo las etiquetas lo dicen con certeza: una estimación sin ellas vale"
        " mientras valga lo que aprendió."
    ),
}  # fmt: skip
TABLES: dict[Language, dict[str, str]] = {"en": EN, "es": ES}
