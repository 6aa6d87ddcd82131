// webpack as it comes. Only its advice on size is off: the build of the package weighs itself.
module.exports = { mode: 'production', entry: './page.js', output: { filename: 'page.js' }, performance: { hints: false } };
