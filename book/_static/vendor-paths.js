// Tells require.js where the widgets' modules are: beside the page, not on a content network.
(() => {
  const vendor = new URL("vendor/", document.currentScript.src).href;
  window.__jupyter_widgets_assets_path__ = `${vendor}html-manager/`;
  window.requirejs.config({
    paths: {
      "@jupyter-widgets/html-manager": `${vendor}html-manager/embed-amd`,
      "@jupyter-widgets/html-manager/dist/libembed-amd": `${vendor}html-manager/embed-amd`,
      anywidget: `${vendor}anywidget/index`,
    },
  });
})();
