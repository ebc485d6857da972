/*
 *  recent_errors.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_RECENT_ERRORS_H
#define PYRAMIDAL_RECENT_ERRORS_H

#include <algorithm>
#include <bit>
#include <vector>

namespace nest
{

/**
 * The latest dendritic errors of one compartment, for synapses that read one in every step (dendritic_error_rate_synapse).
 */
class RecentErrors
{
public:
  //! Somebody will read.
  void
  expect()
  {
    errors_.resize( std::max< size_t >( errors_.size(), 1 ) );
  }

  bool
  wanted() const
  {
    return not errors_.empty();
  }

  //! Keep this number of steps, if somebody reads; errors kept so far are lost if that is more than before.
  void
  make_room( const size_t reach )
  {
    if ( wanted() and errors_.size() < reach )
    {
      errors_.assign( std::bit_ceil( reach ), {} );
    }
  }

  //! Keep the error of the step that ends at time t, and the time of the last reset before it (steps).
  void
  archive( const long t, const double error, const long last_reset )
  {
    errors_[ t & mask_() ] = { error, last_reset };
  }

  double
  at( const long t ) const
  {
    return errors_[ t & mask_() ].error;
  }

  //! Time of the last reset before the step that ended at time t (steps).
  long
  last_reset( const long t ) const
  {
    return errors_[ t & mask_() ].last_reset;
  }

private:
  struct Entry
  {
    double error = 0.0;
    long last_reset = 0;
  };

  long
  mask_() const
  {
    return static_cast< long >( errors_.size() ) - 1;
  }

  std::vector< Entry > errors_;  //!< by time, a power of 2; empty as long as nobody reads
};

}  // namespace nest

#endif
