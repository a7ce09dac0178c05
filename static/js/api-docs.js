// The colors of the API's page. Swagger UI has a dark form behind a class, which follows the reader's color scheme.

{
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();
}
