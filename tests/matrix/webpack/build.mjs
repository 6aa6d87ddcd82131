// Runs webpack by its interface and prints what it warns of and refuses; it fails on either.
import webpack from 'webpack';
import config from './webpack.config.cjs';

webpack({ ...config, context: import.meta.dirname }, (error, stats) => {
  if (error) throw error;
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
  for (const { message } of [...errors, ...warnings]) console.error(message);
  process.exitCode = errors.length + warnings.length > 0 ? 1 : 0;
});
