"""What the console says, in English and Spanish; a test keeps both catalogues alike."""

from __future__ import annotations

EN = {
    "access": "Access", "alarms": "Alarms", "all_good": "Nothing needs you.", "apply": "Apply weights",
    "body": "Body", "bucket": "Bucket", "captured": "Captured requests", "close": "Close", "code": "From code",
    "confirm_weights": "Change where traffic goes?", "content_type": "Content type", "created": "Created",
    "cancel": "Cancel", "download": "Download", "empty": "Nothing here yet.", "endpoint": "Endpoint",
    "endpoints": "Endpoints", "filter": "Filter", "follow": "Follow", "free": "Disk free", "help": "Keyboard",
    "home": "Home", "instances": "Replicas", "isolation": "Isolation", "jobs": "Jobs", "keys": "Access keys",
    "language": "Español", "last": "Last change", "logout": "Log out", "logs": "Logs", "metrics": "Metrics",
    "modified": "Modified", "name": "Name", "range": "Time range", "reason": "Reason", "replay": "Replay",
    "result": "Answer", "send": "Send", "size": "Size", "skip": "Skip to the content", "state": "State",
    "status": "Status", "storage": "Storage", "theme": "Light or dark", "time": "Time", "try": "Try it",
    "unavailable": "Not available", "users": "Users", "variant": "Variant", "variants": "Variants",
    "weight": "Weight", "objects": "Objects", "streams": "Streams", "doctor": "Doctor", "latency": "Latency (ms)",
    "invocations": "Invocations", "request": "Request", "paths": "Where it comes from",
}  # fmt: skip
ES = {
    "access": "Acceso", "alarms": "Alarmas", "all_good": "Todo en orden.", "apply": "Aplicar pesos",
    "body": "Cuerpo", "bucket": "Bucket", "captured": "Peticiones capturadas", "close": "Cerrar",
    "code": "Desde código", "confirm_weights": "¿Cambiar el reparto del tráfico?",
    "content_type": "Tipo de contenido", "created": "Creado", "cancel": "Cancelar", "download": "Descargar",
    "empty": "Aún no hay nada.", "endpoint": "Endpoint", "endpoints": "Endpoints", "filter": "Filtro",
    "follow": "Seguir", "free": "Disco libre", "help": "Teclado", "home": "Inicio", "instances": "Réplicas",
    "isolation": "Aislamiento", "jobs": "Trabajos", "keys": "Claves de acceso", "language": "English",
    "last": "Último cambio", "logout": "Salir", "logs": "Registros", "metrics": "Métricas",
    "modified": "Modificado", "name": "Nombre", "range": "Intervalo", "reason": "Motivo", "replay": "Repetir",
    "result": "Respuesta", "send": "Enviar", "size": "Tamaño", "skip": "Ir al contenido", "state": "Estado",
    "status": "Estado", "storage": "Almacenamiento", "theme": "Claro u oscuro", "time": "Hora", "try": "Probar",
    "unavailable": "No disponible", "users": "Usuarios", "variant": "Variante", "variants": "Variantes",
    "weight": "Peso", "objects": "Objetos", "streams": "Flujos", "doctor": "Diagnóstico", "latency": "Latencia (ms)",
    "invocations": "Invocaciones", "request": "Petición", "paths": "De dónde viene",
}  # fmt: skip


def catalogue(chosen: str, accept: str) -> dict[str, str]:
    """Return the texts of the language chosen, else of the first one the browser accepts that we have."""
    wanted = [chosen, *(part.split(";")[0].strip()[:2].lower() for part in accept.split(","))]
    for language in wanted:
        if language in ("en", "es"):
            return ES if language == "es" else EN
    return EN
