// Spanish texts of the page that a link to a student's schedule opens.

export default {
  "shared.title": "Horario de clases - EduHub", "shared.heading": "Horario de clases", "shared.loading": "Cargando…",
  "shared.for": "El estudiante compartió este horario con {label}. El enlace es válido hasta el {end}. Cada visita queda registrada y el estudiante puede verla.",
  "shared.ended": "Este enlace ya no es válido o está incompleto. Pídale uno nuevo al estudiante.",
  "shared.failed": "No se pudo cargar el horario. Revise su conexión y vuelva a cargar la página.",
  "shared.none": "No hay clases en los períodos actuales.",
  "shared.course": "Curso", "shared.name": "Título", "shared.times": "Días, horas y salones", "shared.state": "Estado",
  "shared.enrolled": "Inscrita", "shared.waitlisted": "En lista de espera, aún sin cupo", "shared.offered": "Cupo ofrecido, aún sin inscripción", "shared.cancelled": "Cancelada",
};
