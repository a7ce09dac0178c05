// Spanish texts of features that few visits to the student's page need. Loaded with `student/more.js`.

export default {
  "filter.any": "Cualquiera", "filter.time": "Hora del día", "filter.time.morning": "Mañana, antes del mediodía", "filter.time.afternoon": "Tarde, de 12 a 5 p. m.", "filter.time.evening": "Noche, desde las 5 p. m.",
  "filter.mode": "Modalidad", "filter.mode.online": "En línea", "filter.mode.person": "Presencial", "filter.campus": "Campus", "filter.credits": "Créditos",
  "filter.instructor": "Docente", "filter.fits": "Cabe en mi horario",
  "section.page": "Página de la sección", "section.back": "Volver a la lista", "section.copy": "Copiar enlace", "section.copied": "Enlace copiado.",
  "section.print": "Imprimir", "section.unknown": "No existe la sección {id}.",
  "watch.off": "Avisarme cuando haya un cupo", "watch.on": "Dejar de avisarme",
  "watch.started.granted": "Le avisaremos cuando haya un cupo en {section}, mientras esta página esté abierta en su navegador.",
  "watch.started.default": "Esta página le avisará cuando haya un cupo en {section}, mientras esté abierta.",
  "watch.started.denied": "Esta página le avisará cuando haya un cupo en {section}, mientras esté abierta. Su navegador no permite notificaciones.",
  "watch.opened": { one: "Hay un cupo en {section}: queda {n}.", other: "Hay cupos en {section}: quedan {n}." }, "watch.show": "Ver la sección",
  "watch.max": "Puede recibir avisos de {n} secciones como máximo. Primero desactive uno.",
};
